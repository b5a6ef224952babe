use std::collections::BTreeSet;

use haggle_model::{Span, Timestamp};

use crate::{
    TableError,
    rows::{Row, Rows, shortened},
    times,
};

/// A table with a time column first, resampled to a constant step.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) start: Timestamp,
    pub(crate) step: Span,
    /// Headers and values, in the order of the file.
    pub(crate) columns: Vec<(String, Vec<f64>)>,
}

/// The rows of the file.
struct Recorded {
    times: Vec<Timestamp>,
    columns: Vec<(String, Vec<f64>)>,
}

impl Table {
    /// Reads the rows below `header`.
    pub(crate) fn read(header: &Row, rows: &mut Rows<'_>) -> Result<Self, TableError> {
        let limit = rows.limits().values;
        Recorded::read(header, rows)?.regular(limit)
    }
}

impl Recorded {
    fn read(header: &Row, rows: &mut Rows<'_>) -> Result<Self, TableError> {
        let limit = rows.limits().values;
        let mut all = Self { times: Vec::new(), columns: columns(header)? };
        let mut row = Row::default();
        while rows.read(&mut row)? {
            if row.len() != header.len() {
                let (line, found, expected) = (row.line, row.len(), header.len());
                return Err(TableError::ColumnCount { line, found, expected });
            }
            let text = row.text(0)?;
            let time = times::parse(text).ok_or_else(|| TableError::Time {
                line: row.line,
                column: 1,
                text: shortened(text),
            })?;
            if let Some(previous) = all.times.last().copied().filter(|last| time < *last) {
                return Err(TableError::Backwards { line: row.line, time, previous });
            }
            if all.times.len().saturating_add(1).saturating_mul(all.columns.len()) > limit {
                return Err(TableError::TooManyValues { limit });
            }
            all.times.push(time);
            for (column, (_, values)) in all.columns.iter_mut().enumerate() {
                values.push(row.value(column + 1)?);
            }
        }
        Ok(all)
    }

    /// Assigns every row to the nearest of the regular times that start with the first row. Rows with the
    /// same time are averaged; a time without a row is missing.
    fn regular(self, limit: usize) -> Result<Table, TableError> {
        let rows = self.times.len();
        let (Some(start), Some(step)) = (self.times.first().copied(), usual_step(&self.times))
        else {
            return Err(TableError::TooFewRows { rows });
        };
        let slot = |time: &Timestamp| (time.since(start).as_millis() + step / 2) / step;
        let slots: Vec<usize> = self
            .times
            .iter()
            .map(|time| usize::try_from(slot(time)).unwrap_or(usize::MAX))
            .collect();
        let length = slots.last().map_or(0, |last| last.saturating_add(1));
        if length.saturating_mul(self.columns.len()) > limit {
            return Err(TableError::TooManyValues { limit });
        }
        let columns = self
            .columns
            .into_iter()
            .map(|(name, values)| (name, averaged(&slots, &values, length)))
            .collect();
        Ok(Table { start, step: Span::from_millis(step), columns })
    }
}

/// Returns the distance between two rows in milliseconds: the median, which gaps and outliers do not distort.
/// If the times jitter, so that many distances differ from the median, it is refined to the mean, where a gap
/// counts as the steps it spans; otherwise the error would accumulate over the rows.
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
        return Some(median);
    }
    let spanned: u64 = steps.iter().map(|distance| (distance + median / 2) / median).sum();
    let total: u64 = steps.iter().sum();
    Some(total.checked_div(spanned)?.max(1))
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

fn columns(header: &Row) -> Result<Vec<(String, Vec<f64>)>, TableError> {
    if times::parse(header.text(0)?).is_some() {
        return Err(TableError::NoHeader);
    }
    if header.len() < 2 {
        return Err(TableError::NoColumns);
    }
    let mut seen = BTreeSet::new();
    (1..header.len())
        .map(|column| {
            let name = header.text(column)?;
            if name.is_empty() {
                return Err(TableError::Unnamed { line: header.line, column: column + 1 });
            }
            if !seen.insert(name.to_owned()) {
                let name = shortened(name);
                return Err(TableError::Duplicate { line: header.line, column: column + 1, name });
            }
            Ok((name.to_owned(), Vec::new()))
        })
        .collect()
}
