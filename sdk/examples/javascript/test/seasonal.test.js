import assert from "node:assert/strict";
import { test } from "node:test";

import { fit, forecast } from "../seasonal.js";

const MINUTE = 60_000;
const LEVELS = [0.5, 0.8, 0.95];

const series = (values) => ({
  id: "load", lastAtMs: values.length * MINUTE, stepMs: MINUTE, values, nonNegative: true,
});
const wave = (length, height = 10) =>
  Array.from({ length }, (_, i) => 5 + height * Math.sin((i / 12) * 2 * Math.PI) + (i % 7) / 10);

function outlook(values, season, horizon = 30) {
  const { tag, val } = forecast({ series: series(values), horizonSteps: horizon, levels: LEVELS }, season);
  assert.equal(tag, "ok", JSON.stringify(val));
  return val;
}

test("repeats the last season", () => {
  const values = wave(60, 4);
  assert.deepEqual(outlook(values, 12, 24).mean, [...values.slice(-12), ...values.slice(-12)]);
});

test("intervals are ordered, nested, not negative, and grow by the season", () => {
  const { mean, intervals } = outlook(wave(60), 12);
  assert.deepEqual(intervals.map(({ level }) => level), LEVELS);
  for (let step = 0; step < 30; step++) {
    const bounds = intervals.map((interval) => interval.bounds[step]);
    const column = [...bounds.map(({ lower }) => lower).reverse(), mean[step], ...bounds.map(({ upper }) => upper)];
    assert.deepEqual(column, [...column].sort((a, b) => a - b));
    assert.ok(column.every((value) => Number.isFinite(value) && value >= 0));
  }
  const width = (step) => intervals[1].bounds[step].upper - mean[step];
  assert.ok(width(12) > width(0) && width(24) > width(12));
});

test("an interval holds the share of the outcomes that its level says", () => {
  // A walk whose steps are uniform between -1 and 1, by a linear congruential generator.
  let state = 1;
  const noise = () => (state = (state * 1_103_515_245 + 12_345) % 2_147_483_648) / 1_073_741_824 - 1;
  const walk = [1000];
  while (walk.length < 2000) walk.push(walk.at(-1) + noise());
  const [{ lower, upper }] = outlook(walk, 1, 1).intervals[1].bounds;
  assert.ok(Math.abs((upper - lower) / 2 - 0.8) < 0.05);
});

test("finds the season among those it is told and the usual ones", () => {
  assert.deepEqual(fit(series(wave(96)), [5, 12, 60], 12), { tag: "ok", val: 12 });
  const hourly = { ...series(Array.from({ length: 96 }, (_, i) => i % 24)), stepMs: 60 * MINUTE };
  assert.deepEqual(fit(hourly, [], 1), { tag: "ok", val: 24 });
  const walk = series([0, 1, 2, 1, 2, 3, 2, 3, 4, 3, 4, 5]);
  assert.deepEqual(fit(walk, [3], 1), { tag: "ok", val: 1 });
  assert.deepEqual(fit(hourly, [], 24), { tag: "ok", val: 24 });
});

test("gaps are filled and change nothing else", () => {
  const values = wave(60, 4);
  values.splice(50, 1, NaN);
  values.splice(0, 1, NaN);
  const { mean, intervals, confidence } = outlook(values, 12, 12);
  assert.equal(mean[2], values[38]);
  assert.ok([...mean, ...intervals.flatMap(({ bounds }) => bounds.flatMap(Object.values))].every(Number.isFinite));
  assert.ok(confidence > 0.9 && confidence < 1);
});

test("confidence is full on what repeats and none on noise", () => {
  assert.equal(outlook(Array(20).fill(3), 1).confidence, 1);
  assert.equal(outlook([1, 9, 2, 8, 3, 9, 1, 8, 2], 1).confidence, 0);
});

test("too little history is a fault that says what is needed", () => {
  for (const values of [[], [3], [NaN, NaN, NaN]]) {
    const { tag, val } = fit(series(values), [], 1);
    assert.deepEqual([tag, val.tag], ["err", "insufficient-data"]);
  }
  const { tag, val } = forecast({ series: series([1, 2]), horizonSteps: 1, levels: LEVELS }, 12);
  assert.deepEqual([tag, val.tag], ["err", "insufficient-data"]);
  assert.match(val.val, /12 steps/);
});
