//! Rows with times, resampled to a constant step.

use std::collections::{BTreeMap, BTreeSet};

use haggle_model::{Span, Timestamp};

use crate::{
    FileOptions, TableError, daylight,
    growth::read_as,
    layout::Shape,
    rows::{Row, Rows, shortened},
    times::{Clock, Fault, Moment},
};

/// A table with constant steps.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) start: Timestamp,
    pub(crate) step: Span,
    /// Headers and values, in the order of the file.
    pub(crate) columns: Vec<(String, Vec<f64>)>,
}

/// Rows as they are in the file, in the order of their times.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    moments: Vec<Moment>,
    lines: Vec<u64>,
    pub(crate) columns: Vec<(String, Vec<f64>)>,
}

/// The time axis of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Axis {
    /// Every step takes equally long.
    Absolute,
    /// Every day has the same steps by the local clock: a skipped hour is missing, and a repeated one is
    /// averaged. The last row is at its true time.
    Local,
}

/// Reads a table in the layout of columns.
pub(crate) fn read_columns(
    rows: &mut Rows<'_>,
    options: &FileOptions,
    header: bool,
    time: usize,
) -> Result<Recorded, TableError> {
    let limit = options.limits.values;
    let first = match header {
        true => {
            let mut first = Row::default();
            rows.read(&mut first)?;
            first
        }
        false => rows.head(1)?.into_iter().next().unwrap_or_default(),
    };
    let width = first.len();
    let mut all = Recorded { columns: columns(&first, header, time)?, ..Recorded::default() };
    let mut clock = Clock::new(options.zone.as_ref());
    let mut row = Row::default();
    while rows.read(&mut row)? {
        if row.len() != width {
            let (line, found, expected) = (row.line, row.len(), width);
            return Err(TableError::ColumnCount { line, found, expected });
        }
        all.push_time(&mut clock, &row, time)?;
        if all.moments.len().saturating_mul(all.columns.len()) > limit {
            return Err(TableError::TooManyValues { limit });
        }
        let cells = (0..width).filter(|column| *column != time);
        for (column, (_, values)) in cells.zip(&mut all.columns) {
            values.push(row.value(column)?);
        }
    }
    all.finished(options, time)
}

/// Reads a value per row into a table for each id, in the order in which the ids occur.
pub(crate) fn read_long(
    rows: &mut Rows<'_>,
    options: &FileOptions,
    shape: Shape,
) -> Result<Vec<Recorded>, TableError> {
    let Shape::Long { header, id, time, value } = shape else { return Ok(Vec::new()) };
    let limit = options.limits.values;
    let mut row = Row::default();
    if header {
        rows.read(&mut row)?;
    }
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut all: Vec<(Clock<'_>, Recorded)> = Vec::new();
    let mut count = 0_usize;
    let mut width = None;
    while rows.read(&mut row)? {
        let expected = *width.get_or_insert(row.len());
        if row.len() != expected {
            return Err(TableError::ColumnCount { line: row.line, found: row.len(), expected });
        }
        let name = row.text(id)?;
        if name.is_empty() {
            return Err(TableError::Unnamed { line: row.line, column: id + 1 });
        }
        let place = match places.get(name) {
            Some(place) => *place,
            None => {
                let columns = vec![(name.to_owned(), Vec::new())];
                let recorded = Recorded { columns, ..Recorded::default() };
                all.push((Clock::new(options.zone.as_ref()), recorded));
                places.insert(name.to_owned(), all.len() - 1);
                all.len() - 1
            }
        };
        count += 1;
        if count > limit {
            return Err(TableError::TooManyValues { limit });
        }
        if let Some((clock, recorded)) = all.get_mut(place) {
            recorded.push_time(clock, &row, time)?;
            let value = row.value(value)?;
            recorded.columns.iter_mut().for_each(|(_, values)| values.push(value));
        }
    }
    if all.is_empty() {
        return Err(TableError::TooFewRows { series: None, rows: 0 });
    }
    all.into_iter().map(|(_, recorded)| recorded.finished(options, time)).collect()
}

/// Puts series with times of their own into one table: a time that a series does not have is missing there.
pub(crate) fn joined(series: Vec<Recorded>, limit: usize) -> Result<Recorded, TableError> {
    let moments: BTreeMap<Timestamp, (Moment, u64)> = series
        .iter()
        .flat_map(|one| one.moments.iter().zip(&one.lines))
        .map(|(moment, line)| (moment.at, (*moment, *line)))
        .collect();
    if moments.len().saturating_mul(series.len()) > limit {
        return Err(TableError::TooManyValues { limit });
    }
    let places: BTreeMap<Timestamp, usize> = moments.keys().copied().zip(0..).collect();
    let mut columns = Vec::new();
    for one in series {
        let slots: Vec<usize> =
            one.moments.iter().filter_map(|moment| places.get(&moment.at).copied()).collect();
        for (name, values) in one.columns {
            columns.push((name, averaged(&slots, &values, moments.len())));
        }
    }
    let (moments, lines) = moments.into_values().unzip();
    Ok(Recorded { moments, lines, columns })
}

impl Recorded {
    fn push_time(
        &mut self,
        clock: &mut Clock<'_>,
        row: &Row,
        column: usize,
    ) -> Result<(), TableError> {
        let (line, text) = (row.line, row.text(column)?);
        let column = column + 1;
        let moment = clock.read(text).map_err(|fault| match fault {
            Fault::NotATime => TableError::Time { line, column, text: shortened(text) },
            Fault::Rule(source) => TableError::TimeRule { line, column, source },
            Fault::Skipped => TableError::Skipped { line, column, text: shortened(text) },
        })?;
        if let Some(last) = self.moments.last().filter(|last| moment.at < last.at) {
            if moment.is_naive && daylight::is_set_back(last.at, moment.at) {
                let [time, previous] = [moment.at, last.at].map(daylight::without_zone);
                return Err(TableError::Repeats { line, column, time, previous });
            }
            let (time, previous) = (moment.at, last.at);
            return Err(TableError::Backwards { line, column, time, previous });
        }
        self.moments.push(moment);
        self.lines.push(line);
        Ok(())
    }

    /// Checks the rows as a whole, and converts counters.
    fn finished(mut self, options: &FileOptions, time: usize) -> Result<Self, TableError> {
        if self.moments.iter().all(|moment| moment.is_naive) {
            let times: Vec<Timestamp> = self.moments.iter().map(|moment| moment.at).collect();
            if let Some(change) = daylight::change(&times, usual_step(&times)) {
                let line = self.lines.get(change.place).copied().unwrap_or_default();
                let column = time + 1;
                let [time, previous] = [change.time, change.previous].map(daylight::without_zone);
                return Err(match change.is_repeated {
                    true => TableError::Repeats { line, column, time, previous },
                    false => TableError::Jumps { line, column, time, previous },
                });
            }
        }
        for (name, values) in &mut self.columns {
            let at = |place: usize| self.moments.get(place).map(|moment| moment.at);
            read_as(options.readings, name, values, 0, |from, to| match (at(from), at(to)) {
                (Some(from), Some(to)) => to.since(from).as_secs_f64(),
                _ => 0.0,
            })?;
        }
        Ok(self)
    }

    /// Assigns every row to the nearest of the regular times that start with the first row. Rows with the
    /// same time are averaged; a time without a row is missing.
    pub(crate) fn regular(self, limit: usize, axis: Axis) -> Result<Table, TableError> {
        let rows = self.moments.len();
        let (times, order) = on_axis(&self.moments, axis);
        let (Some(start), Some(step)) = (times.first().copied(), usual_step(&times)) else {
            let series = match self.columns.as_slice() {
                [(name, _)] if rows > 0 => Some(shortened(name)),
                _ => None,
            };
            return Err(TableError::TooFewRows { series, rows });
        };
        let slot = |time: &Timestamp| (time.since(start).as_millis() + step / 2) / step;
        let slots: Vec<usize> =
            times.iter().map(|time| usize::try_from(slot(time)).unwrap_or(usize::MAX)).collect();
        let length = slots.last().map_or(0, |last| last.saturating_add(1));
        if length.saturating_mul(self.columns.len()) > limit {
            return Err(TableError::TooManyValues { limit });
        }
        let ordered = |values: Vec<f64>| match &order {
            None => values,
            Some(order) => order.iter().filter_map(|place| values.get(*place).copied()).collect(),
        };
        let columns = self
            .columns
            .into_iter()
            .map(|(name, values)| (name, averaged(&slots, &ordered(values), length)))
            .collect();
        Ok(Table { start, step: Span::from_millis(step), columns })
    }
}

/// The times of the rows on an axis, ascending, and the order of the rows that makes them ascend.
fn on_axis(moments: &[Moment], axis: Axis) -> (Vec<Timestamp>, Option<Vec<usize>>) {
    let absolute = || moments.iter().map(|moment| moment.at).collect();
    let last = moments.last().and_then(|moment| moment.offset);
    let (Axis::Local, Some(last)) = (axis, last) else { return (absolute(), None) };
    if moments.iter().all(|moment| moment.offset == Some(last)) {
        return (absolute(), None);
    }
    let mut local: Vec<(Timestamp, usize)> = moments
        .iter()
        .enumerate()
        .map(|(place, moment)| {
            let ahead = moment.offset.unwrap_or(last) - last;
            let at = moment.at.as_millis().saturating_add_signed(ahead);
            (Timestamp::from_millis(at), place)
        })
        .collect();
    local.sort_unstable();
    let (times, order) = local.into_iter().unzip();
    (times, Some(order))
}

/// Returns the distance between two rows in milliseconds: the median, which gaps and outliers do not distort.
/// If the times jitter, so that many distances differ from the median, it is refined to the mean, where a gap
/// counts as the steps it spans; otherwise the error would accumulate over the rows. A source that samples
/// every minute takes a little longer than that, so a step of 60.013 s is a minute.
fn usual_step(times: &[Timestamp]) -> Option<u64> {
    let mut steps: Vec<u64> = times
        .iter()
        .zip(times.iter().skip(1))
        .map(|(a, b)| b.since(*a).as_millis())
        .filter(|distance| *distance > 0)
        .collect();
    let middle = steps.len().checked_sub(1)? / 2;
    let median = *steps.select_nth_unstable(middle).1;
    let exact = steps.iter().filter(|distance| **distance == median).count();
    if exact * 10 > steps.len() * 9 {
        return Some(nominal(median));
    }
    let spanned: u64 = steps.iter().map(|distance| (distance + median / 2) / median).sum();
    let total: u64 = steps.iter().sum();
    Some(nominal(total.checked_div(spanned)?.max(1)))
}

/// Steps at which sources usually sample, in milliseconds.
const USUAL: [u64; 15] = [
    1_000, 2_000, 5_000, 10_000, 15_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000,
    900_000, 1_800_000, 3_600_000, 86_400_000,
];

/// Returns the usual step that a step with a fraction of a second drifts from, by at most 0.1%; otherwise the
/// step.
fn nominal(step: u64) -> u64 {
    let drifts = |usual: &&u64| step.abs_diff(**usual).saturating_mul(1000) <= **usual;
    if step.is_multiple_of(1000) {
        return step;
    }
    USUAL.iter().find(drifts).copied().unwrap_or(step)
}

/// Averages the known values of each slot; the slots ascend.
fn averaged(slots: &[usize], values: &[f64], length: usize) -> Vec<f64> {
    let mut means = vec![f64::NAN; length];
    let mut count = 0.0;
    for (slot, value) in slots.iter().zip(values).filter(|(_, value)| value.is_finite()) {
        let Some(mean) = means.get_mut(*slot) else { continue };
        if mean.is_nan() {
            (*mean, count) = (*value, 1.0);
        } else {
            count += 1.0;
            *mean += (value - *mean) / count;
        }
    }
    means
}

/// The names of the value columns: those of the header, or numbers from 1 if there is none.
fn columns(first: &Row, header: bool, time: usize) -> Result<Vec<(String, Vec<f64>)>, TableError> {
    if first.len() < 2 {
        return Err(TableError::NoColumns);
    }
    let mut seen = BTreeSet::new();
    (0..first.len())
        .filter(|column| *column != time)
        .enumerate()
        .map(|(place, column)| {
            if !header {
                return Ok((format!("series-{}", place + 1), Vec::new()));
            }
            let name = first.text(column)?;
            if name.is_empty() {
                return Err(TableError::Unnamed { line: first.line, column: column + 1 });
            }
            if !seen.insert(name.to_owned()) {
                let name = shortened(name);
                return Err(TableError::Duplicate { line: first.line, column: column + 1, name });
            }
            Ok((name.to_owned(), Vec::new()))
        })
        .collect()
}
