import { describe, expect, test } from 'vitest';
import { expand, expandHeredoc, expandWords, variablesIn } from './expand.ts';

const variables = {
  PWD: '/home',
  SHELL: 'bash',
  NULL: '',
  X: 'xxyy',
  STARS: 'a***yy*',
  V: 'v1.2.3',
  two: 'a  b',
};

describe('expand', () => {
  test.each([
    ['hello', 'hello'],
    ["he'll'o", 'hello'],
    ["he\\'llo", "he'llo"],
    ['abc\\tdef', 'abctdef'],
    ['"abc\\tdef"', 'abc\\tdef'],
    ['"abc\\\\tdef"', 'abc\\tdef'],
    ["'abc\\tdef'", 'abc\\tdef'],
    ['hello\\', 'hello'],
    ['hello\\\\', 'hello\\'],
    ['"hel\'lo"', "hel'lo"],
    ["'hello\\'", 'hello\\'],
    ['"\'\'"', "''"],
    ['$.', '$.'],
    ['he$1x', 'hex'],
    ['he$.x', 'he$.x'],
    ['he$pwd.', 'he.'],
    ['he$PWD', 'he/home'],
    ['he\\$PWD', 'he$PWD'],
    ['he\\\\$PWD', 'he\\/home'],
    ['"he\\$PWD"', 'he$PWD'],
    ['"he\\\\$PWD"', 'he\\/home'],
    ['\\${}', '${}'],
    ['he${hi}xx', 'hexx'],
    ['he${XXX:-000}xx', 'he000xx'],
    ['he${PWD:-000}xx', 'he/homexx'],
    ['he${XXX:-${YYY:-yyy}}xx', 'heyyyxx'],
    ['he${NULL-000}', 'he'],
    ['he${NULL:-000}', 'he000'],
    ['he${NULL+000}', 'he000'],
    ['he${NULL:+000}', 'he'],
    ['he${PWD?}', 'he/home'],
    ['he${NULL?}', 'he'],
    ['he${PWD:+${PWD}:}xx', 'he/home:xx'],
    ['he${XXX:-\\$PWD:}xx', 'he$PWD:xx'],
    ['he${XXX:-\\${PWD}z}xx', 'he${PWDz}xx'],
    ["'he${XX}'", 'he${XX}'],
    ['"he\'$PWD\'"', "he'/home'"],
    ['안녕$PWD', '안녕/home'],
    ['${aaa}}', '}'],
    ['${aaa:-bbb {foo}', 'bbb {foo'],
    ['${999:-bbb}aaa', 'bbbaaa'],
    ['$@@@', '@@'],
    ['$$', ''],
    ['${X#x}', 'xyy'],
    ['${X##x*}', ''],
    ['${X#*x*y}', 'y'],
    ['${X#*}', 'xxyy'],
    ['${X##*x}', 'yy'],
    ['${X#}', 'xxyy'],
    ['${X%y}', 'xxy'],
    ['${X%y*}', 'xxy'],
    ['${X%%y*}', 'xx'],
    ['${X%z}', 'xxyy'],
    ['${STARS%%\\**\\*}', 'a'],
    ['${STARS#?\\*}', '**yy*'],
    ['${X/x/-}', '-xyy'],
    ['${X//x/-}', '--yy'],
    ['${X/y*/-}', 'xx-'],
    ['${X//z/-}', 'xxyy'],
    ['${PWD/\\//_}', '_home'],
    ['${V#v}', '1.2.3'],
    ['${V%.*}', 'v1.2'],
    ['${V%%.*}', 'v1'],
    ['${UNSET#x}', ''],
    ['$constructor${__proto__}', ''],
  ])('%s becomes %s', (text, expected) => {
    expect(expand(text, variables)).toBe(expected);
  });

  test.each([
    ["he'llo", "a ' is open at the end"],
    ['"hello\\"', 'a " is open at the end'],
    ['${}', 'bad substitution ${}'],
    ['he${.}', 'bad substitution ${.'],
    ['${:-bbb}', 'bad substitution ${:'],
    ['${{aaa}', 'bad substitution ${{'],
    ['he${XXX:YYY}', 'unsupported modifier :Y in ${XXX:Y...}'],
    ['he${PWD:=000}xx', 'unsupported modifier := in ${PWD:=...}'],
    ['${PWD', 'missing } in ${}'],
    ['${aaa:-bbb ${foo}', 'missing } in ${}'],
    ['${PWD:', 'missing } in ${}'],
    ['${X:#x}', 'unsupported modifier :# in ${X:#...}'],
    ['${X/x}', 'missing / in ${}'],
    ['${X#\\a}', 'invalid escape \\a in the pattern \\a'],
    ['he${XXX?}', 'XXX: is not allowed to be unset'],
    ['he${NULL:?}', 'NULL: is not allowed to be empty'],
    ['he${NULL:?give $SHELL}', 'NULL: give bash'],
  ])('%s is an error', (text, message) => {
    expect(() => expand(text, variables)).toThrow(
      expect.objectContaining({ code: 'IMGBOOT_DOCKERFILE', message }),
    );
  });

  test('the escape character can be a backquote', () => {
    expect(expand('c:\\`$PWD\\$PWD', variables, { escape: '`' })).toBe('c:\\$PWD\\/home');
  });

  test('variables can be a Map', () => {
    expect(expand('$a', new Map([['a', 'b']]))).toBe('b');
  });

  test('deep nesting is an error, not a stack overflow', () => {
    expect(() => expand('${a:-'.repeat(10_000), {})).toThrow('${} is nested deeper than 64');
  });

  test('patterns with many stars take no exponential time', () => {
    const value = 'a'.repeat(20_000);
    const pattern = '*a'.repeat(50);
    expect(expand(`\${v#${pattern}b}`, { v: value })).toBe(value);
    expect(expand(`\${v%%b${pattern}}`, { v: value })).toBe(value);
    expect(expand(`\${v//a${pattern}b/x}`, { v: value })).toBe(value);
  });
});

describe('expandWords', () => {
  test.each([
    ['hello${two}bye', ['helloa', 'bbye']],
    ['hello"${two}"bye', ['helloa  bbye']],
    ['hello "${two}"bye', ['hello', 'a  bbye']],
    ['hello" there  "', ['hello there  ']],
    ['hello     there', ['hello', 'there']],
    ['hello\\ there', ['hello there']],
    ['hello\\" there', ['hello"', 'there']],
    ['80${x:-80} $UNSET 1', ['8080', '1']],
    ['', []],
  ])('%s splits', (text, words) => {
    expect(expandWords(text, variables)).toEqual(words);
  });
});

test('a heredoc keeps its quotes and loses its backslashes', () => {
  expect(expandHeredoc('"$PWD" \'$PWD\' \\$PWD \\\\ a\\tb\n', variables)).toBe(
    '"/home" \'/home\' $PWD \\ atb\n',
  );
});

test('variablesIn finds every name a text refers to', () => {
  expect([...variablesIn('$a${b:-$c}"$d"\'$e\'\\$f${g#${h}}')]).toEqual(['a', 'b', 'c', 'd', 'g', 'h']);
});
