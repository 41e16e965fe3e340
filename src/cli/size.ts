export { parseSize } from '../system/size.ts';
