import { randomInt } from 'node:crypto';

const adjectives = (
  'amber bold brave bright calm clear clever cool crisp deep eager early fair fast fond free fresh gentle glad ' +
  'golden good grand great green happy hardy high honest humble jolly keen kind light lively lucky merry mild ' +
  'neat noble proud pure quick quiet rapid ready rich royal sharp silent silver simple smart solid steady still ' +
  'strong sunny sure swift tidy true vivid warm wide wise witty young'
).split(' ');
const nouns = (
  'acorn anchor arrow badger beacon bear birch bridge brook canyon cedar cliff cloud comet coral crane creek crow ' +
  'dawn delta dune eagle ember falcon fern field finch fjord forest fox garden glacier harbor hawk heron hill ' +
  'island ivy lake lark leaf lion lynx maple meadow moon moss oak ocean otter owl panda pebble pine planet pond ' +
  'raven reef ridge river robin rose sky sparrow spruce star stone storm stream summit swan tiger trail tulip ' +
  'valley wave whale willow wind wolf wren'
).split(' ');

/** Two words that nobody has yet, such as `calm_otter`. */
export function generateName(isTaken: (name: string) => boolean): string {
  for (let tries = 0; ; tries += 1) {
    const words = `${adjectives[randomInt(adjectives.length)]}_${nouns[randomInt(nouns.length)]}`;
    const name = tries < 3 ? words : `${words}${randomInt(100 * tries)}`;
    if (!isTaken(name)) return name;
  }
}
