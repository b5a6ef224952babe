//! Forecasts a panel natively, without the sandbox, and writes the forecasts for a scorer.
//!
//! `score --input TRAIN.csv --horizon 48 [--season 24] [--batch 256] [--plugin NAME] --output OUT.csv`
//!
//! The input is in the layout of the M4 competition: one series in each row, `id,value,value,...`.

use std::{env, error::Error, fmt::Write as _, fs, time::Instant};

use haggle_sdk::{
    Forecasting,
    forecasting::{Panel, Task},
    types::{Context, Series},
};

/// Forecasts a batch and writes it.
type Rows = fn(&[Series], &[u32], u32) -> Result<String, Box<dyn Error>>;

/// The distance between two values, in milliseconds.
const STEP: u64 = 3_600_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().collect();
    let option = |name: &str| -> Option<&str> {
        let place = arguments.iter().position(|argument| argument == name)?;
        arguments.get(place + 1).map(String::as_str)
    };
    let needed = |name: &str| option(name).ok_or_else(|| format!("{name} is missing"));
    let horizon: u32 = needed("--horizon")?.parse()?;
    let seasons: Vec<u32> = option("--season").map(str::parse).transpose()?.into_iter().collect();
    let batch: usize = option("--batch").unwrap_or("256").parse()?;
    let mut all = Vec::new();
    for line in fs::read_to_string(needed("--input")?)?.lines() {
        let mut cells = line.split(',').map(|cell| cell.trim_matches('"'));
        let id = cells.next().unwrap_or_default().to_owned();
        let values: Vec<f64> =
            cells.filter(|cell| !cell.is_empty()).map(str::parse).collect::<Result<_, _>>()?;
        let non_negative = values.iter().all(|value| *value >= 0.0);
        let last_at_ms = STEP * values.len().saturating_sub(1) as u64;
        all.push(Series { id, last_at_ms, step_ms: STEP, values, non_negative });
    }
    let forecast: Rows = match option("--plugin").unwrap_or("ensemble") {
        "arima" => rows::<haggle_arima::Arima>,
        "decomposition" => rows::<haggle_decomposition::DecompositionPlugin>,
        "ensemble" => rows::<haggle_ensemble::Ensemble>,
        "exponential-smoothing" => rows::<haggle_exponential_smoothing::ExponentialSmoothing>,
        "gradient-boosting" => rows::<haggle_gradient_boosting::GradientBoosting>,
        "recurrent-network" => rows::<haggle_recurrent_network::RecurrentNetwork>,
        "seasonal-smoothing" => rows::<haggle_seasonal_smoothing::SeasonalSmoothing>,
        "theta" => rows::<haggle_theta::Theta>,
        other => return Err(format!("there is no {other}").into()),
    };
    let begun = Instant::now();
    let mut out = String::from("series,step,mean,lo80,hi80,lo95,hi95,confidence\n");
    for part in all.chunks(batch) {
        out += &forecast(part, &seasons, horizon)?;
    }
    eprintln!("{:.2} s", begun.elapsed().as_secs_f64());
    fs::write(needed("--output")?, out)?;
    Ok(())
}

fn rows<F: Forecasting>(
    part: &[Series],
    seasons: &[u32],
    horizon: u32,
) -> Result<String, Box<dyn Error>> {
    let context = Context { now_ms: 0, seed: 1, configuration: "{}".into() };
    let panel = Panel {
        series: part.to_vec(),
        horizon_steps: horizon,
        seasons_steps: seasons.to_vec(),
        events: Vec::new(),
    };
    let begun = Instant::now();
    let fitted = F::fit(&context, &panel, None).map_err(|fault| format!("{fault:?}"))?;
    let took = begun.elapsed().as_secs_f64();
    let shared = fitted.shared.as_ref().map_or(0, Vec::len);
    let own: usize = fitted.models.iter().flatten().map(Vec::len).sum();
    let task = |(series, model): (&Series, Result<Vec<u8>, _>)| Task {
        series: series.clone(),
        model: model.ok(),
        horizon_steps: horizon,
        seasons_steps: seasons.to_vec(),
        levels: vec![0.8, 0.95],
    };
    let tasks: Vec<Task> = part.iter().zip(fitted.models).map(task).collect();
    let begun = Instant::now();
    let outlooks: Vec<_> = tasks
        .chunks(64)
        .flat_map(|tasks| F::forecast(&context, fitted.shared.as_deref(), tasks, &[]))
        .collect();
    eprintln!(
        "fit {:.1} ms a series, forecast {:.1} us, {} bytes a series, {shared} shared",
        1e3 * took / part.len() as f64,
        1e6 * begun.elapsed().as_secs_f64() / part.len() as f64,
        own / part.len()
    );
    let mut out = String::new();
    for (series, outlook) in part.iter().zip(outlooks) {
        let outlook = outlook.map_err(|fault| format!("{}: {fault:?}", series.id))?;
        for (step, mean) in outlook.mean.iter().enumerate() {
            write!(out, "{},{},{mean}", series.id, step + 1)?;
            for interval in &outlook.intervals {
                let bounds = interval.bounds.get(step).ok_or("bounds are missing")?;
                write!(out, ",{},{}", bounds.lower, bounds.upper)?;
            }
            writeln!(out, ",{}", outlook.confidence)?;
        }
    }
    Ok(out)
}
