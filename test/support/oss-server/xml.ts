/** Element by element; a list repeats its element, undefined leaves it out. */
export type Xml = { [element: string]: string | number | boolean | undefined | Xml | Xml[] };

export function xml(root: string, content: Xml): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${element(root, content)}\n`;
}

function element(name: string, content: Xml[string]): string {
  if (content === undefined) return '';
  if (Array.isArray(content)) return content.map((each) => element(name, each)).join('');
  if (typeof content !== 'object') return `<${name}>${escaped(String(content))}</${name}>`;
  const inner = Object.entries(content).map(([key, value]) => element(key, value));
  return `<${name}>${inner.join('')}</${name}>`;
}

function escaped(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: XML 1.0 cannot hold them; a server that sent them would be wrong
  if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/.test(text)) throw new Error('a character that XML cannot hold');
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
