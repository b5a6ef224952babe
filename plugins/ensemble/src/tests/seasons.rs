use haggle_forecasting::check;
use haggle_sdk::{Forecasting, forecasting::Task};

use crate::Ensemble;

#[test]
fn a_series_without_a_model_is_forecast_as_a_panel_of_its_own_with_the_seasons_of_the_task() {
    let series = check::series(&check::load(400, 8), 0);
    let alone = |seasons: &[u32]| {
        let task = Task {
            series: series.clone(),
            model: None,
            horizon_steps: 12,
            seasons_steps: seasons.to_vec(),
            levels: vec![0.8],
        };
        Ensemble::forecast(&check::context(), None, &[task], &[]).remove(0).unwrap().mean
    };
    for seasons in [&[24][..], &[5], &[]] {
        let panel = check::forecasts::<Ensemble>(std::slice::from_ref(&series), seasons, 12);
        let panel = &panel[0].as_ref().unwrap().mean;
        for (alone, panel) in alone(seasons).iter().zip(panel) {
            // A model in bytes has been rounded.
            assert!((alone - panel).abs() < 1e-3, "{seasons:?}: {alone} is not {panel}");
        }
    }
    assert_ne!(alone(&[5]), alone(&[24]));
}
