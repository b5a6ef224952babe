use crate::{Ets, ExponentialSmoothing};

mod past;
mod reference;

haggle_forecasting::contract_tests!(ExponentialSmoothing);
haggle_forecasting::method_tests!(Ets);
