// Asks the reference AsyncAPI parser about documents: node check.mjs <path> [<path> ...]
// Prints a JSON list with {"errors": n, "diagnostics": [...]} for each document, in the order of the paths.
// Exits 0 without errors, 1 with errors, 2 if misused.
import { readFile } from "node:fs/promises";
import { DiagnosticSeverity, Parser } from "@asyncapi/parser";

const paths = process.argv.slice(2);
if (paths.length === 0) {
  console.error("usage: node check.mjs <path to an AsyncAPI document> [<another> ...]");
  process.exit(2);
}

async function check(path) {
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
  return { errors, diagnostics: found };
}

const answers = [];
for (const path of paths) answers.push(await check(path));

console.log(JSON.stringify(answers, null, 2));
process.exit(answers.every(({ errors }) => errors === 0) ? 0 : 1);
