import { BtrfsDriver } from './driver-btrfs.ts';
import { OverlayDriver } from './driver-overlay.ts';
import type { DriverName, LayerDriver } from './driver.ts';

const drivers: Record<DriverName, () => LayerDriver> = {
  btrfs: () => new BtrfsDriver(),
  overlay: () => new OverlayDriver(),
};

export function createDriver(name: DriverName): LayerDriver {
  return drivers[name]();
}
