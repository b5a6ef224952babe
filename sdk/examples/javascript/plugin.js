// What the component exports: the interfaces `metadata` and `forecasting` of the contract (wit/). Names
// are in camel case; a result inside a list is `{ tag: "ok" | "err", val }`.

import log from "haggle:plugin/log@0.2.0";
import * as seasonal from "./seasonal.js";

export const metadata = {
  describe: () => ({
    name: "seasonal-naive",
    version: "0.1.0",
    summary: "What was a season ago comes again, with intervals from how true that was so far.",
    configurationSchema: "{}",
  }),
  // There is nothing to configure, so nothing to check. An error would be thrown as a string.
  validateConfiguration(_configuration) {},
};

export const forecasting = {
  fit(_context, panel, _previous) {
    const seasons = panel.series.map((series) => seasonal.fit(series, panel.seasonsSteps, panel.horizonSteps));
    const found = seasons.filter(({ tag, val }) => tag === "ok" && val > 1).length;
    log.write("debug", `${found} of ${seasons.length} series have a season`);
    return { shared: null, models: seasons.map(model) };
  },

  forecast(_context, _shared, tasks, _events) {
    return tasks.map((task) => {
      const season = task.model ? read(task.model) : seasonal.fit(task.series, task.seasonsSteps, task.horizonSteps);
      return season.tag === "ok" ? seasonal.forecast(task, season.val) : season;
    });
  },
};

// A model is the season's length in steps, as the four bytes of an integer.
function model({ tag, val }) {
  return { tag, val: tag === "ok" ? new Uint8Array(Uint32Array.of(val).buffer) : val };
}

function read(bytes) {
  const season = bytes.length === 4 ? new Uint32Array(Uint8Array.from(bytes).buffer)[0] : 0;
  if (season > 0) return { tag: "ok", val: season };
  return { tag: "err", val: { tag: "incompatible-model", val: "a model is a positive integer in 4 bytes" } };
}
