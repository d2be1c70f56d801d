import { Command, Option } from 'commander';
import { ciphers } from '../codec/sealing.ts';
import { list } from './key/list.ts';
import { generate, recipient, rotate } from './key/make.ts';
import { test } from './key/test.ts';
import { unwrap, wrap } from './key/wrap.ts';
import { verb } from './session.ts';

const keyArgument = 'a key of the configuration, or the path of a key file';

export const keyVerb = (): Command => {
  const key = new Command('key').description('keys: what seals, tags and signs');
  const subcommands = [
    new Command('generate')
      .description('makes a key file: data key, identity key, signing key; never overwrites one')
      .argument('<key>', keyArgument)
      .addOption(cipherOption().default('aes-256-gcm'))
      .action(verb(generate)),
    new Command('rotate')
      .description('adds a key set in front of a key file; the older ones stay, and workers need no restart')
      .argument('<key>', keyArgument)
      .addOption(cipherOption())
      .action(verb(rotate)),
    new Command('recipient')
      .description('makes a copy of a key file that can write and not read, for a database host')
      .argument('<key>', keyArgument)
      .requiredOption('--into <file>', 'the copy to be; never overwritten')
      .action(verb(recipient)),
    new Command('list')
      .description('the key sets of this host, and where each of them is wrapped; opens nothing')
      .action(verb(list)),
    new Command('test')
      .description('which backups and which WAL the keys at hand open, from the beginning of each')
      .argument('<cluster>')
      .option('--repository <name>', "one of the cluster's; otherwise the nearest")
      .action(verb(test)),
    new Command('wrap')
      .description('puts a key file into a repository, for a passphrase or an age recipient; again after each rotation')
      .argument('<key>', keyArgument)
      .requiredOption('--repository <name>', 'where to')
      .option('--recipient <age1…>', 'whose identity shall open it')
      .option('--passphrase-file <file>', 'the passphrase that shall open it; mode 0600')
      .option('--passphrase-env <variable>', 'the same, from an environment variable')
      .action(verb(wrap)),
    new Command('unwrap')
      .description('makes a key file from what a repository holds wrapped: on a new host')
      .requiredOption('--repository <name>', 'where from')
      .requiredOption('--into <file>', 'the key file to be; never overwritten')
      .option('--identity-file <file>', "the recipient's identity, as age-keygen writes it; mode 0600")
      .option('--passphrase-file <file>', 'mode 0600')
      .option('--passphrase-env <variable>')
      .option('--key <id>', 'any key set of the key that is meant, where several open')
      .action(verb(unwrap)),
  ];
  for (const subcommand of subcommands) key.addCommand(subcommand);
  return key;
};

const cipherOption = (): Option =>
  new Option('--cipher <name>', 'what to seal with; the CBC ones are not authenticated').choices(ciphers);
