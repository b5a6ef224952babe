// The seasonal naive method: what was a season ago comes again (Hyndman & Athanasopoulos, "Forecasting:
// Principles and Practice", 3rd edition, sections 5.2 and 5.5). How far a value usually is from the one a
// season before says how wide the intervals must be. Plain functions: they run in Node.js as they do in
// the component.

const HOUR = 3_600_000;
const USUAL_PERIODS = [HOUR, 24 * HOUR, 7 * 24 * HOUR];

// Neither missing (NaN) nor so large that the square of a difference overflows.
const isKnown = (value) => Math.abs(value) < 1e100;
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** What a plugin says instead of an answer; `kind` is one of the faults of the contract. */
const fault = (kind, text) => ({ tag: "err", val: { tag: kind, val: text } });

/** The distances between known values that are a season apart. */
function differences(values, season) {
  const found = [];
  for (let i = season; i < values.length; i++) {
    const difference = Math.abs(values[i] - values[i - season]);
    if (isKnown(values[i]) && isKnown(difference)) found.push(difference);
  }
  return found;
}

/** How many times as large as a difference the error is so many steps ahead: the seasons' errors add up. */
const growth = (ahead, season) => Math.sqrt(Math.floor((ahead - 1) / season) + 1);

/**
 * Picks the season that promises the smallest error at the end of the horizon (both in steps). A season of 1
 * means that the last value comes again.
 */
export function fit(series, seasons, horizon) {
  const error = (season) => mean(differences(series.values, season)) * growth(horizon, season);
  const usual = USUAL_PERIODS.map((period) => period / series.stepMs);
  const candidates = [1, ...(seasons.length > 0 ? seasons : usual)]
    .filter((season) => Number.isInteger(season) && season <= series.values.length / 2)
    .map((season) => ({ season, error: error(season) }))
    .filter((candidate) => isKnown(candidate.error))
    .sort((a, b) => a.error - b.error);
  if (candidates.length === 0) {
    return fault("insufficient-data", "at least two known values in a row are needed");
  }
  return { tag: "ok", val: candidates[0].season };
}

/** The expected values, an interval for each level, and how much of the movement that explains. */
export function forecast({ series, horizonSteps: horizon, levels }, season) {
  const { values } = series;
  const errors = Float64Array.from(differences(values, season)).sort();
  if (errors.length === 0) {
    return fault("insufficient-data", `no two known values are a season of ${season} steps apart`);
  }
  // Where a value is missing, the one a season earlier stands in, and so on; else the last known one.
  const known = values.filter(isKnown);
  const last = (i) => {
    while (i >= 0 && !isKnown(values[i])) i -= season;
    return i >= 0 ? values[i] : known.at(-1);
  };

  const clamp = (value) => (series.nonNegative ? Math.max(value, 0) : value);
  const steps = Array.from({ length: horizon }, (_, i) => i);
  const expected = steps.map((i) => last(values.length - season + (i % season)));
  const intervals = levels.map((level) => {
    // The smallest error that this share of the errors does not exceed.
    const width = errors[Math.min(Math.ceil(level * (errors.length + 1)), errors.length) - 1];
    const bound = (i, side) => clamp(expected[i] + side * width * growth(i + 1, season));
    return { level, bounds: steps.map((i) => ({ lower: bound(i, -1), upper: bound(i, 1) })) };
  });

  const centre = mean(known);
  const movement = mean(known.map((value) => (value - centre) ** 2));
  const error = mean(errors.map((value) => (value * growth(horizon, season)) ** 2));
  const confidence = error === 0 ? 1 : Math.max(0, 1 - error / movement);
  return { tag: "ok", val: { mean: expected.map(clamp), intervals, confidence } };
}
