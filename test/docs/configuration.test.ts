import { expect, test } from 'vitest';
import { configurationPage, currentPage } from '../../docs/generate/configuration.ts';
import { parseConfig } from '../../host/config.ts';

test('docs/configuration.md is what the schema says today (node_modules/.bin/node docs/generate/configuration.ts makes it)', () => {
  expect(currentPage()).toBe(configurationPage());
});

test('the example on the page is a good config', () => {
  const [, example = ''] = /```yaml\n([\s\S]*?)```/.exec(currentPage()) ?? [];
  expect(Object.keys(parseConfig('the page', example).clusters)).toEqual(['shop']);
});
