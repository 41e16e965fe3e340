import { ImgbootError } from '../errors.ts';
import type { OperationOptions } from '../system/progress.ts';
import { findTopLayer } from '../deploy/top-layer.ts';
import { examineOnImage, examineOnRoot, type ExamineRequest } from '../top-layer/examine-image.ts';
import { requireRoot } from './base-command.ts';
import { storeWithImage } from './store-with-image.ts';
import { topLayerReport, type TopLayerReport } from './top-layer-report.ts';

/** Looks at a top layer beside an image, or a root file system, as the flags say. @throws IMGBOOT_USAGE */
export async function examineAsAsked(
  command: string,
  request: OperationOptions &
    Pick<ExamineRequest, 'persist' | 'measure' | 'texts'> & {
      topLayer: string | undefined;
      store: string;
      image: string | undefined;
      root: string | undefined;
    },
): Promise<TopLayerReport> {
  const { topLayer, store: storePath, image: reference, root, ...options } = request;
  if ((reference === undefined) === (root === undefined))
    throw new ImgbootError('IMGBOOT_USAGE', 'give either an image or --root DIR', {
      hint: `imgboot ${command} --help`,
    });
  const place = findTopLayer(topLayer);
  if (root !== undefined) {
    if (place.kind === 'device') requireRoot(`${command} of a device`);
    return topLayerReport(await examineOnRoot({ ...options, place, root }), { place, target: root });
  }
  requireRoot(`${command} of an image`);
  const { store, reference: taken } = await storeWithImage(storePath, reference!, options);
  const image = store.image(taken);
  const examined = await examineOnImage(store, { ...options, place, image });
  return topLayerReport(examined, { place, target: image.reference ?? image.id });
}
