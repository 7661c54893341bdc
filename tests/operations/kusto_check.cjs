// Parses and binds queries with Microsoft's language service. Reads { schema, queries } from stdin, and writes
// { name: [diagnostic, ...] } to stdout.
const library = process.argv[2];
require(`${library}/bridge.js`);
require(`${library}/Kusto.Language.Bridge.js`);
const { GlobalState, KustoCode, Symbols } = Kusto.Language;

const { schema, queries } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const tables = Object.entries(schema).map(([name, columns]) => new Symbols.TableSymbol.$ctor7(name, columns, ""));
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.ctor("insights", tables));

const found = {};
for (const [name, text] of Object.entries(queries)) {
  const diagnostics = KustoCode.ParseAndAnalyze(text, globals).GetDiagnostics();
  found[name] = Array.from({ length: diagnostics.Count }, (_, index) => {
    const each = diagnostics.getItem(index);
    return `${each.Severity}: ${each.Message} (at ${text.substr(each.Start, each.Length)})`;
  });
}
console.log(JSON.stringify(found));
