import { isBuiltin } from 'node:module';
import { dirname, join, normalize } from 'node:path';
import { parseSync } from '@swc/core';
import type { Arrow } from './rules.ts';

type Node = { type?: string; [key: string]: unknown };

/** Every import of a source text, static, dynamic, re-exported or in a type, read by a real parser. */
export function importsOf(from: string, source: string): Arrow[] {
  const arrows: Arrow[] = [];
  visit(parseSync(source, { syntax: 'typescript', target: 'es2024' }) as unknown as Node, (node) => {
    const found = importIn(node, from);
    if (found) arrows.push(resolve(from, found.specifier, found.typeOnly));
  });
  return arrows;
}

function importIn(node: Node, from: string): { specifier: string; typeOnly: boolean } | undefined {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportAllDeclaration':
    case 'ExportNamedDeclaration':
      // `import { type A }` still loads the module: only `import type` counts as type-only.
      return node.source ? { specifier: text(node.source, from), typeOnly: node.typeOnly === true } : undefined;
    case 'TsImportType':
      return { specifier: text(node.argument, from), typeOnly: true };
    case 'TsExternalModuleReference':
      return { specifier: text(node.expression, from), typeOnly: false };
    case 'CallExpression': {
      const callee = node.callee as Node;
      const loads = callee.type === 'Import' || (callee.type === 'Identifier' && callee.value === 'require');
      const [first] = node.arguments as { expression: Node }[];
      return loads ? { specifier: text(first?.expression, from), typeOnly: false } : undefined;
    }
    default:
      return undefined;
  }
}

/** A module's name must be readable here: a computed one could be anything. */
function text(node: unknown, from: string): string {
  const { type, value } = (node ?? {}) as Node;
  if (type !== 'StringLiteral') throw new Error(`${from}: an import whose module is computed cannot be checked`);
  return String(value);
}

function resolve(from: string, specifier: string, typeOnly: boolean): Arrow {
  const inside = specifier.startsWith('.');
  const to = inside ? normalize(join(dirname(from), specifier)) : specifier;
  return { from, to, inside, builtin: isBuiltin(specifier), typeOnly };
}

function visit(node: unknown, see: (node: Node) => void): void {
  if (Array.isArray(node)) for (const one of node) visit(one, see);
  else if (typeof node === 'object' && node !== null) {
    see(node as Node);
    for (const value of Object.values(node)) visit(value, see);
  }
}
