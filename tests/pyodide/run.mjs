// Run Python files in Pyodide: node run.mjs PYODIDE_FOLDER PACKAGE_FOLDER SCRIPT; what the script prints is printed.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [pyodideFolder, packageFolder, script] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(path.join(pyodideFolder, "pyodide.mjs")).href);
const python = await loadPyodide();

/** @param {string} from @param {string} to */
function copy(from, to) {
  python.FS.mkdirTree(to);
  for (const entry of fs.readdirSync(from, { withFileTypes: true })) {
    const source = path.join(from, entry.name);
    if (entry.isDirectory() && entry.name !== "__pycache__") copy(source, `${to}/${entry.name}`);
    else if (entry.isFile()) python.FS.writeFile(`${to}/${entry.name}`, fs.readFileSync(source));
  }
}

copy(packageFolder, `/lib/own/${path.basename(packageFolder)}`);
await python.runPythonAsync("import sys; sys.path.insert(0, '/lib/own')");
await python.runPythonAsync(fs.readFileSync(script, "utf8"));
