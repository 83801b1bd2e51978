// Asks the reference AsyncAPI parser about a document: node check.mjs <path to asyncapi.yaml>
// Prints {"errors": n, "diagnostics": [...]} as JSON; exits 0 without errors, 1 with errors, 2 if misused.
import { readFile } from "node:fs/promises";
import { DiagnosticSeverity, Parser } from "@asyncapi/parser";

const [path] = process.argv.slice(2);
if (!path) {
  console.error("usage: node check.mjs <path to an AsyncAPI document>");
  process.exit(2);
}

const { document, diagnostics } = await new Parser().parse(await readFile(path, "utf-8"));

const found = diagnostics.map(({ code, message, path: where, range, severity }) => ({
  severity: DiagnosticSeverity[severity],
  code,
  message,
  where: where.join("/"),
  line: range.start.line + 1,
}));
// The parser returns no document when it has refused one, whatever the diagnostics say.
const errors = found.filter(({ severity }) => severity === "Error").length || (document ? 0 : 1);

console.log(JSON.stringify({ errors, diagnostics: found }, null, 2));
process.exit(errors === 0 ? 0 : 1);
