// Builds the browser files of govuk-frontend into ../static/govuk, which git ignores.
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { compile } from "sass";

const here = new URL("./", import.meta.url);
const out = new URL("../static/govuk/", here);
const govuk = new URL("node_modules/govuk-frontend/", here);

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
const { css } = compile(fileURLToPath(new URL("govuk.scss", here)), {
  loadPaths: [fileURLToPath(new URL("node_modules", here))],
  quietDeps: true,
  style: "compressed",
});
if (css.includes("@font-face")) {
  throw new Error("the style sheet uses fonts that only GOV.UK may use");
}
await writeFile(new URL("govuk-frontend.css", out), css);
const script = await readFile(new URL("dist/govuk/govuk-frontend.min.js", govuk), "utf8");
await writeFile(new URL("govuk-frontend.min.js", out), script.replace(/\/\/# sourceMappingURL=.*$/m, ""));
const { version, license } = JSON.parse(await readFile(new URL("package.json", govuk)));
await writeFile(new URL("LICENCE.txt", out), `govuk-frontend ${version}, licence ${license}, (c) Crown copyright\n`);

const swagger = new URL("../../static/swagger/", here);
await mkdir(swagger, { recursive: true });
for (const name of ["swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-bundle.js.LICENSE.txt", "LICENSE", "NOTICE"]) {
  await copyFile(new URL(`node_modules/swagger-ui-dist/${name}`, here), new URL(name, swagger));
}
