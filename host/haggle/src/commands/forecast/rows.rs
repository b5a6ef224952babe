//! Forecasts as CSV.

use std::io::{self, Write};

use super::{engine::Outcome, subject::Subject};

const HEADER: [&str; 7] = ["series", "step", "mean", "lo80", "hi80", "lo95", "hi95"];

/// Writes a row for each series and step. Series without a forecast are omitted.
pub(super) fn write(
    out: &mut dyn Write,
    subjects: &[Subject],
    outcomes: &[Outcome],
) -> io::Result<()> {
    let mut rows = csv::Writer::from_writer(out);
    rows.write_record(HEADER).map_err(io_error)?;
    for (subject, outcome) in subjects.iter().zip(outcomes) {
        let Ok(outlook) = outcome else { continue };
        for (step, mean) in outlook.mean.iter().enumerate() {
            let bounds = outlook.intervals.iter().filter_map(|level| level.bounds.get(step));
            let bounds = bounds.flat_map(|bounds| [bounds.lower, bounds.upper]);
            let cells = std::iter::once(*mean).chain(bounds).map(number);
            let row = [subject.series.id.clone(), (step + 1).to_string()].into_iter().chain(cells);
            rows.write_record(row).map_err(io_error)?;
        }
    }
    rows.flush()
}

/// The I/O error behind an error of the CSV writer, so that a closed pipe is recognized.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// The shortest text that reads back as the same number.
fn number(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (1e-5..1e16).contains(&size) {
        format!("{value}")
    } else {
        format!("{value:e}")
    }
}

#[cfg(test)]
mod tests {
    use super::{number, write};
    use crate::commands::forecast::subject::Subject;
    use haggle_model::{Series, Span, Timestamp};
    use haggle_sandbox::forecasting::{Bounds, Interval, Outlook};
    use proptest::prelude::*;

    fn subject(id: &str) -> Subject {
        let (start, step) = (Timestamp::from_millis(0), Span::from_mins(1));
        Subject::new((id.to_owned(), Series { start, step, values: vec![1.0] }))
    }

    #[test]
    fn one_row_a_series_and_step() {
        let interval = |level, lower: [f64; 2], upper: [f64; 2]| {
            let bounds = lower.into_iter().zip(upper);
            let bounds = bounds.map(|(lower, upper)| Bounds { lower, upper }).collect();
            Interval { level, bounds }
        };
        let outlook = Outlook {
            mean: vec![1.5, 1e20],
            intervals: vec![
                interval(0.8, [1.0, 2.0], [2.0, 3.0]),
                interval(0.95, [0.5, 1.0], [2.5, 1e21]),
            ],
            confidence: 0.5,
        };
        let mut text = Vec::new();
        let outcomes = [Ok(outlook), Err("too short".to_owned())];
        write(&mut text, &[subject("a,b"), subject("c")], &outcomes).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "series,step,mean,lo80,hi80,lo95,hi95\n\
             \"a,b\",1,1.5,1,2,0.5,2.5\n\
             \"a,b\",2,1e20,2,3,1,1e21\n"
        );
    }

    proptest! {
        #[test]
        fn a_number_reads_back_as_it_was(value in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
            prop_assert_eq!(number(value).parse::<f64>().unwrap().to_bits(), value.to_bits());
        }
    }
}
