import { ImgbootError, type ErrorCode } from '../errors.ts';
import type { Runtime } from './runtime.ts';

/**
 * The words of a runtime that could not start a command, as an error. Neither runc nor crun tells in any other way that
 * a program is missing or not to be executed.
 */
export function explainRuntimeFailure(
  words: string,
  { runtime, command }: { runtime: Runtime; command: string },
): ImgbootError {
  const name = JSON.stringify(command);
  const why = plainWords(words);
  if (/executable file (`.*' )?not found in \$PATH|exec.*no such file or directory/i.test(words))
    return failure('IMGBOOT_COMMAND_NOT_FOUND', `the container has no program ${name}`, why);
  if (
    /exec.*(permission denied|is a directory|exec format error)|open executable: (Permission denied|Is a directory)/i.test(
      words,
    )
  )
    return failure('IMGBOOT_COMMAND_NOT_EXECUTABLE', `the container cannot execute ${name}`, why);
  return new ImgbootError(
    'IMGBOOT_RUNTIME_FAILED',
    `${runtime.program} cannot create the container: ${why === '' ? 'it says nothing' : why}`,
  );
}

function failure(code: ErrorCode, what: string, why: string): ImgbootError {
  return new ImgbootError(code, `${what}: ${why}`, { hint: 'everything after the image is the command' });
}

/** Without the runtime's own way of logging around it. */
function plainWords(words: string): string {
  const lines = words.trim().split('\n');
  const last =
    lines.findLast((line) => line.includes('level=error') || line.includes('level=fatal')) ??
    lines.at(-1) ??
    '';
  const message = /msg="((?:[^"\\]|\\.)*)"/.exec(last)?.[1]?.replaceAll('\\"', '"');
  return (message ?? last).replace(/^(runc|crun)[^:]*: /, '').trim();
}
