//! The narration of forecasts.

use haggle_control::Forecast;
use haggle_model::{Span, Window};

/// Describes a forecast in a sentence; `None` if there is no forecast.
pub(super) fn told(forecast: &Forecast, observed: Option<f64>) -> Option<String> {
    let outlook = forecast.outlook.as_ref().ok()?;
    let window = Window::new(outlook.start, span(outlook.step, outlook.mean.len()));
    let peak = outlook.mean_peak(window).unwrap_or_default();
    let widest = outlook.intervals.last();
    let bound = widest.map_or(String::new(), |widest| {
        let highest = widest.upper.iter().copied().fold(0.0, f64::max);
        format!(", at most {highest:.0} ({:.0}% interval)", widest.level * 100.0)
    });
    let now = observed.map_or(String::new(), |load| format!("{load:.0} requests/s now, "));
    Some(format!(
        "{now}{peak:.0} expected within {}{bound}; confidence {:.2}, by {} generation {}",
        window.length(),
        outlook.confidence,
        forecast.plugin,
        forecast.generation,
    ))
}

fn span(step: Span, count: usize) -> Span {
    Span::from_millis(step.as_millis().saturating_mul(count as u64))
}

#[cfg(test)]
mod tests {
    use super::told;
    use haggle_control::Forecast;
    use haggle_model::{Name, Resource, Timestamp};
    use haggle_plan::Accuracy;
    use std::sync::Arc;

    #[test]
    fn a_forecast_is_one_sentence() {
        let outlook = r#"{
            "start": "2026-01-31T12:00:00Z", "step": "1m", "mean": [100, 120.4],
            "intervals": [{"level": 0.95, "lower": [80, 90], "upper": [120, 150]}], "confidence": 0.8
        }"#;
        let mut forecast = Forecast {
            service: Name::new("web").unwrap(),
            resource: Resource::RequestsPerSecond,
            at: Timestamp::from_millis(0),
            plugin: Name::new("mine").unwrap(),
            generation: 3,
            accuracy: Accuracy::default(),
            outlook: Ok(Arc::new(serde_json::from_str(outlook).unwrap())),
        };
        assert_eq!(
            told(&forecast, Some(99.7)).unwrap(),
            "100 requests/s now, 120 expected within 2m, at most 150 (95% interval); \
             confidence 0.80, by mine generation 3"
        );
        forecast.outlook = Err("too little history".to_owned());
        assert_eq!(told(&forecast, Some(99.7)), None);
    }
}
