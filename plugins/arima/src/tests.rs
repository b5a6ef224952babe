use crate::{Arima, SeasonalArima};

mod reference;

haggle_forecasting::contract_tests!(Arima);
haggle_forecasting::method_tests!(SeasonalArima);
