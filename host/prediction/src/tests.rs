mod failures;
mod forecasting;
mod real;
mod tiering;
