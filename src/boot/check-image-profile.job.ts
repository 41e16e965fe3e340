import { checkProfile, type ProfileFinding } from '../initramfs/check-profile.ts';
import type { MachineProfile } from '../initramfs/machine-profile.ts';
import { openView, type ImageView } from '../store/view.ts';

export interface ImageProfileJob {
  view: ImageView;
  profile: MachineProfile;
  kver: string | undefined;
}

export async function runJob({ view, ...request }: ImageProfileJob): Promise<ProfileFinding[]> {
  return checkProfile({ root: openView(view), ...request });
}
