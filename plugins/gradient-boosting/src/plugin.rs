use std::rc::Rc;

use haggle_forecasting::{
    Clock, Method, Model, Prepared, Reader, Setting, Track, Univariate, Writer, answer, candidates,
    history_of, no_value, track,
};
use haggle_sdk::{
    Fault, Forecasting, Plugin,
    forecasting::{Fitted, Outlook, Panel, Task},
    metadata::Description,
    types::{CalendarEvent, Context, Series},
};

use crate::{Boosted, Forest, Lesson, Training};

/// The plugin: one forest for the panel, and a small model for each series. It has no configuration.
#[derive(Debug)]
pub struct GradientBoosting;

const TAG: [u8; 5] = *b"HGGF\x01";
/// The number of origins from which the past is forecast.
const ORIGINS: usize = 60;

impl Plugin for GradientBoosting {
    fn describe() -> Description {
        Univariate::<Boosted>::describe()
    }
}

/// A series whose model is being fitted.
struct Pupil {
    series: Prepared,
    seasons: Vec<usize>,
    boosted: Boosted,
}

impl Forecasting for GradientBoosting {
    fn fit(_: &Context, panel: &Panel, _: Option<&Fitted>) -> Result<Fitted, Fault> {
        let pupil = |series: &Series| pupil(series, panel);
        let pupils: Vec<Result<Pupil, Fault>> = panel.series.iter().map(pupil).collect();
        // Errors are honest only on values that the forest did not learn from. An early forest therefore leaves out
        // the last quarter of every series; the forest that forecasts learns from all values.
        let learn = |share: f64| {
            let mut lesson = Lesson::default();
            for pupil in pupils.iter().flatten() {
                let until = (pupil.series.values.len() as f64 * share) as usize;
                pupil.boosted.teach(&pupil.series, until, pupils.len(), &mut lesson);
            }
            lesson.learn(&Training::default())
        };
        let (early, all) = (learn(0.75), learn(1.0));
        let model = |pupil: Pupil| {
            let Pupil { series, seasons, mut boosted } = pupil;
            boosted.attach(&early);
            let track = judge(&boosted, &series, &seasons, panel);
            boosted.attach(&all);
            Model::settle(boosted, &series, &track).to_bytes()
        };
        let models = pupils.into_iter().map(|pupil| pupil.map(model)).collect();
        let mut shared = Writer::new(TAG);
        all.write(&mut shared);
        // A model contains all past values that it needs.
        Ok(Fitted { shared: Some(shared.finish()), models, lookback_steps: Some(0) })
    }

    fn forecast(
        _: &Context,
        shared: Option<&[u8]>,
        tasks: &[Task],
        events: &[CalendarEvent],
    ) -> Vec<Result<Outlook, Fault>> {
        let forest = match shared.map(read) {
            None => None,
            Some(Ok(forest)) => Some(forest),
            Some(Err(fault)) => return tasks.iter().map(|_| Err(fault.clone())).collect(),
        };
        tasks.iter().map(|task| outlook(task, forest.as_ref(), events)).collect()
    }
}

fn pupil(series: &Series, panel: &Panel) -> Result<Pupil, Fault> {
    let history = history_of(series)?;
    let season = panel.seasons_steps.first().map_or(0, |season| *season as usize);
    let series = Prepared::of(history, season).ok_or_else(no_value)?;
    let seasons = candidates(&series.values, &panel.seasons_steps, series.step);
    let setting = Setting {
        seasons: &seasons,
        horizon: panel.horizon_steps.max(1) as usize,
        events: &panel.events,
    };
    let boosted = Boosted::untaught(&series, &setting);
    Ok(Pupil { series, seasons, boosted })
}

/// The errors of the early forest on the values that it has not seen.
fn judge(boosted: &Boosted, series: &Prepared, seasons: &[usize], panel: &Panel) -> Track {
    let count = series.values.len();
    let clock = Clock { start: series.start, step: series.step, events: &panel.events };
    let (mut early, from) = boosted.rewind(series);
    let unseen = (3 * count / 4).max(from);
    early.update(series.values.get(from..unseen).unwrap_or_default(), &clock);
    let reach = (panel.horizon_steps as usize).clamp(1, (count / 2).max(1));
    track((early, unseen), series, &clock, reach, ORIGINS, seasons)
}

fn read(bytes: &[u8]) -> Result<Rc<Forest>, Fault> {
    let forest = Reader::new(bytes, TAG).and_then(|mut rest| {
        let forest = Forest::read(&mut rest)?;
        rest.finish().map(|()| Rc::new(forest))
    });
    let unreadable = |_| "the shared bytes are not a forest of this gradient-boosting".to_owned();
    forest.map_err(unreadable).map_err(Fault::IncompatibleModel)
}

fn outlook(
    task: &Task,
    forest: Option<&Rc<Forest>>,
    events: &[CalendarEvent],
) -> Result<Outlook, Fault> {
    answer(task, events, |model: &mut Model<Boosted>| {
        let Some(forest) = forest else {
            let alone = "the model of a series needs the forest that was fitted with it";
            return Err(Fault::IncompatibleModel(alone.into()));
        };
        model.method.attach(forest);
        Ok(())
    })
}
