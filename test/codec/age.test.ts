import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { AgeOpener, AgeSealer } from '../../codec/age.ts';
import { generateIdentity, isIdentity, isRecipient, recipientOf } from '../../codec/age-keys.ts';
import { locateProgram } from '../../setup/locate.ts';
import { tempDir } from '../support/temp.ts';
import { identity, noise, recipient, through } from './support.ts';

const kib = 1024;
const chunk = 64 * kib;
/** Around the borders of chunks: the last may be full, and is empty only in an empty object. */
const sizes = [0, 1, chunk - 1, chunk, chunk + 1, 3 * chunk, 3 * chunk + 5];
const damaged = expect.objectContaining({ code: 'object-damaged' });

describe('the program age', () => {
  test('reads what we encrypt', () => {
    const key = keyFile(identity);
    for (const size of sizes) {
      const stored = through(new AgeSealer(recipient), noise(size));
      expect(noise(size).equals(run('age', ['-d', '-i', key], stored)), `${size} bytes`).toBe(true);
    }
  });

  test('writes what we read, for us and others', () => {
    const other = generateIdentity();
    for (const size of sizes) {
      const stored = run('age', ['-r', other.recipient, '-r', recipient], noise(size));
      for (const each of [identity, other.identity])
        expect(noise(size).equals(through(new AgeOpener(each), stored, 1000)), `${size} bytes`).toBe(true);
    }
  });

  test('has the same recipient for an identity, and makes identities that we take', () => {
    expect(recipientOf(identity)).toBe(recipient);
    for (let count = 0; count < 3; count += 1) {
      const made = generateIdentity();
      expect(
        run('age-keygen', ['-y', keyFile(made.identity)])
          .toString()
          .trim(),
      ).toBe(made.recipient);
    }
    const theirs = run('age-keygen', []).toString();
    expect(recipientOf(/AGE-SECRET-KEY-1\S+/.exec(theirs)?.[0] as string)).toBe(/age1\S+/.exec(theirs)?.[0]);
  });
});

describe('a key of age', () => {
  test('with a typing error is not taken for another', () => {
    for (const key of [identity, recipient]) {
      const is = key === identity ? isIdentity : isRecipient;
      expect(is(key)).toBe(true);
      for (let at = 0; at < key.length; at += 1) {
        const letter = key[at] === 'q' || key[at] === 'Q' ? 'p' : 'q';
        const wrong = `${key.slice(0, at)}${key === identity ? letter.toUpperCase() : letter}${key.slice(at + 1)}`;
        expect(is(wrong), wrong.slice(0, at + 1)).toBe(false);
        expect(is(key.slice(0, at) + key.slice(at + 1)), `without letter ${at}`).toBe(false);
      }
    }
  });

  test('is written in one way, and is of one kind', () => {
    for (const wrong of ['', 'age1', recipient.toUpperCase(), `${recipient} `, identity, `A${recipient.slice(1)}`])
      expect(isRecipient(wrong), wrong).toBe(false);
    for (const wrong of ['', 'AGE-SECRET-KEY-1', identity.toLowerCase(), ` ${identity}`, recipient])
      expect(isIdentity(wrong)).toBe(false);
  });

  test('that is none is refused without being quoted', () => {
    const wrong = `${identity.slice(0, -1)}Z`;
    expect(() => new AgeOpener(wrong)).toThrow(expect.objectContaining({ code: 'key-file-invalid' }));
    expect(() => new AgeOpener(wrong)).not.toThrow(new RegExp(wrong.slice(20, 40)));
    expect(() => new AgeSealer('age1nobody')).toThrow(expect.objectContaining({ code: 'key-file-invalid' }));
  });
});

describe('an object of age', () => {
  test('for somebody else does not open, and says so', () => {
    const stored = through(new AgeSealer(generateIdentity().recipient), noise(100));
    expect(() => through(new AgeOpener(identity), stored)).toThrow(/not encrypted for the recipient/);
    expect(() => through(new AgeOpener(identity), stored)).toThrow(damaged);
  });

  test('whose header goes on for ever is given up', () => {
    const header = Buffer.concat([Buffer.from('age-encryption.org/v1\n-> X25519 '), Buffer.alloc(1 << 20, 'A')]);
    expect(() => new AgeOpener(identity).update(header)).toThrow(/longer than any/);
  });

  test('must not end in an empty chunk behind others', () => {
    const full = through(new AgeSealer(recipient), noise(chunk));
    const two = through(new AgeSealer(recipient), noise(chunk + 1));
    // As if the last byte had been taken away: what is left says that it is the last, and is empty.
    expect(() => through(new AgeOpener(identity), two.subarray(0, -1))).toThrow(/the last, is empty/);
    expect(through(new AgeOpener(identity), full).length).toBe(chunk);
  });
});

function keyFile(content: string): string {
  const path = join(tempDir('age'), 'identity.txt');
  writeFileSync(path, `${content}\n`, { mode: 0o600 });
  return path;
}

function run(program: 'age' | 'age-keygen', args: string[], input: Uint8Array = Buffer.alloc(0)): Buffer {
  const path = (locateProgram('age') as string).replace(/age$/, program);
  return execFileSync(path, args, { input, maxBuffer: 1 << 24, stdio: ['pipe', 'pipe', 'ignore'] });
}
