use haggle_forecasting::{History, Prepared, Setting, check};

use crate::{Boosted, Lesson, MOST_ROWS};

#[test]
fn a_large_panel_teaches_no_more_rows_than_fit() {
    let values = check::load(900, 1);
    let series = Prepared::of(History { values: &values, start: 0, step: 10 }, 24).unwrap();
    let setting = Setting { seasons: &[24, 168], horizon: 48, events: &[] };
    let boosted = Boosted::untaught(&series, &setting);
    let rows = |panel: usize| {
        let mut lesson = Lesson::default();
        boosted.teach(&series, values.len(), panel, &mut lesson);
        lesson.rows()
    };
    assert!(rows(1) > 500);
    assert!(rows(10_000) * 10_000 <= MOST_ROWS);
}
