use std::rc::Rc;

use haggle_arima::SeasonalArima;
use haggle_decomposition::Decomposition;
use haggle_exponential_smoothing::Ets;
use haggle_forecasting::{Clock, Method, Prepared, Reader, Setting, Unreadable, Writer};
use haggle_gradient_boosting::{Boosted, Forest};
use haggle_recurrent_network::Network;
use haggle_sdk::types::CalendarEvent;
use haggle_seasonal_smoothing::Smoothing;

use crate::simple::Simple;

/// Defines the enumeration of members from a list of methods, each with its number in model bytes, and the
/// functions that are the same for all methods.
macro_rules! members {
    ($($(#[$doc:meta])* $number:literal $name:ident($method:ty)),+ $(,)?) => {
        /// A member of an ensemble.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Member {
            /// A simple forecast from the last values.
            Simple(Simple),
            $($(#[$doc])* $name(Box<$method>),)+
        }

        impl Member {
            /// The longest season that it follows.
            #[must_use]
            pub fn longest_season(&self) -> usize {
                match self {
                    Self::Simple(simple) => simple.season(),
                    $(Self::$name(method) => method.longest_season(),)+
                }
            }

            /// See [`Method::rewind`].
            #[must_use]
            pub fn rewind(&self, series: &Prepared) -> (Self, usize) {
                match self {
                    Self::Simple(simple) => (self.clone(), simple.from()),
                    $(Self::$name(method) => {
                        let (early, from) = method.rewind(series);
                        (Self::$name(Box::new(early)), from)
                    })+
                }
            }

            /// See [`Method::update`].
            pub fn update(&mut self, values: &[f64], clock: &Clock<'_>) {
                match self {
                    Self::Simple(_) => {}
                    $(Self::$name(method) => method.update(values, clock),)+
                }
            }

            /// See [`Method::advance`]; empty for a simple forecast.
            pub fn advance(&mut self, values: &[f64], clock: &Clock<'_>) -> Vec<f64> {
                match self {
                    Self::Simple(_) => Vec::new(),
                    $(Self::$name(method) => method.advance(values, clock),)+
                }
            }

            /// See [`Method::expect`]; `tail` holds the last values with gaps filled, as many as [`Member::needs`]
            /// returns.
            pub fn expect(&self, tail: &[f64], clock: &Clock<'_>, means: &mut [f64]) {
                match self {
                    Self::Simple(simple) => simple.expect(tail, means),
                    $(Self::$name(method) => method.expect(clock, means),)+
                }
            }

            /// Writes its kind and its state.
            pub fn write(&self, out: &mut Writer) {
                match self {
                    Self::Simple(simple) => {
                        out.byte(0);
                        simple.write(out);
                    }
                    $(Self::$name(method) => {
                        out.byte($number);
                        method.write(out);
                    })+
                }
            }

            /// Reads what [`Member::write`] wrote.
            ///
            /// # Errors
            /// [`Unreadable`] if the bytes are not a member.
            pub fn read(input: &mut Reader<'_>) -> Result<Self, Unreadable> {
                match input.byte()? {
                    0 => Simple::read(input).map(Self::Simple),
                    $($number => <$method>::read(input).map(|m| Self::$name(Box::new(m))),)+
                    _ => Err(Unreadable),
                }
            }
        }
    };
}

members! {
    /// Seasonal exponential smoothing.
    1 Smoothing(Smoothing),
    /// Gradient boosting, with a forest that the panel shares.
    2 Boosted(Boosted),
    /// Trend, seasons, weekend and events as a regression.
    3 Decomposition(Decomposition),
    /// The family of exponential smoothing models.
    4 Ets(Ets),
    /// Seasonal ARIMA.
    5 Arima(SeasonalArima),
    /// An echo state network.
    6 Network(Network),
}

/// The numbers of last values whose medians are tried.
const MIDDLES: [usize; 2] = [6, 36];

impl Member {
    /// The members that cost little and are tried on every series, fitted to this one.
    #[must_use]
    pub fn cheap(series: &Prepared, setting: &Setting<'_>) -> Vec<Self> {
        let mut all = vec![Self::Simple(Simple::Last)];
        all.extend(MIDDLES.map(|count| Self::Simple(Simple::Middle(count))));
        for season in setting.seasons {
            let simple = [Simple::Repeat(*season), Simple::Usual(*season), Simple::Moved(*season)];
            all.extend(simple.map(Self::Simple));
        }
        all.push(Self::Smoothing(Box::new(Smoothing::fit(series, setting))));
        all
    }

    /// The members that cost more and help only if the series has a season (of `season` steps), fitted to this one.
    /// The most expensive one, exponential smoothing, is tried only if the horizon covers the whole season. (Theta
    /// is cheap, but did not improve the forecasts, with a season or without.)
    #[must_use]
    pub fn seasonal(series: &Prepared, setting: &Setting<'_>, season: usize) -> Vec<Self> {
        let mut all = vec![
            Self::Network(Box::new(Network::fit(series, setting))),
            Self::Arima(Box::new(SeasonalArima::fit(series, setting))),
        ];
        if setting.horizon >= season {
            all.push(Self::Ets(Box::new(Ets::fit(series, setting))));
        }
        all
    }

    /// The member that learns the effects of events, fitted to this series; none if no event falls into its
    /// history.
    #[must_use]
    pub fn eventful(series: &Prepared, setting: &Setting<'_>) -> Option<Self> {
        let end =
            series.start.saturating_add(series.step.saturating_mul(series.values.len() as u64));
        let within = |event: &CalendarEvent| {
            event.window.start_ms < end && event.window.end_ms > series.start
        };
        let decompose = || Self::Decomposition(Box::new(Decomposition::fit(series, setting)));
        setting.events.iter().any(within).then(decompose)
    }

    /// How many of the last values it uses.
    #[must_use]
    pub fn needs(&self) -> usize {
        if let Self::Simple(simple) = self { simple.needs() } else { 0 }
    }

    /// Gives it the forest that the panel shares, if it needs one.
    pub fn attach(&mut self, forest: &Rc<Forest>) {
        if let Self::Boosted(boosted) = self {
            boosted.attach(forest);
        }
    }
}
