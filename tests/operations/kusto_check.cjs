// Parses and binds queries with Microsoft's own language service, against tables that are given: { schema, queries } on
// stdin, { name: [diagnostic, ...] } on stdout.
const library = process.argv[2];
require(`${library}/bridge.js`);
require(`${library}/Kusto.Language.Bridge.js`);
const { GlobalState, KustoCode, Symbols } = Kusto.Language;

const { schema, queries } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const tables = Object.entries(schema).map(([name, columns]) => new Symbols.TableSymbol.$ctor7(name, columns, ""));
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.ctor("insights", tables));

const found = {};
for (const [name, text] of Object.entries(queries)) {
  const said = KustoCode.ParseAndAnalyze(text, globals).GetDiagnostics();
  found[name] = Array.from({ length: said.Count }, (_, index) => {
    const each = said.getItem(index);
    return `${each.Severity}: ${each.Message} (at ${text.substr(each.Start, each.Length)})`;
  });
}
console.log(JSON.stringify(found));
