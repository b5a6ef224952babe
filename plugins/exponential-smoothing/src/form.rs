use std::fmt;

/// How errors enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// With the same spread everywhere.
    Additive,
    /// In proportion to the expected value.
    Multiplicative,
}

/// How the level moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trend {
    /// By errors alone.
    None,
    /// By a slope.
    Additive,
    /// By a slope that fades.
    Damped,
}

/// How seasons enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seasonal {
    /// Not at all.
    None,
    /// As an amount on top.
    Additive,
    /// As a factor.
    Multiplicative,
}

/// A member of the family, written ETS(error, trend, season).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// The E.
    pub error: Error,
    /// The T.
    pub trend: Trend,
    /// The S.
    pub seasonal: Seasonal,
    /// Whether a part of each innovation fades by itself: autoregressive errors of order 1, as in BATS
    /// (De Livera, Hyndman & Snyder, "Forecasting time series with complex seasonal patterns using
    /// exponential smoothing", 2011).
    pub transient: bool,
}

impl Form {
    /// The members that are tried, the simplest first. Multiplicative trends are left out because they explode, and
    /// additive errors with multiplicative seasons because they divide by what may be zero.
    pub const ALL: [Self; 15] = {
        use Seasonal as S;
        [
            Self::additive(Trend::None, S::None),
            Self::multiplicative(Trend::None, S::None),
            Self::additive(Trend::Damped, S::None),
            Self::multiplicative(Trend::Damped, S::None),
            Self::additive(Trend::Additive, S::None),
            Self::multiplicative(Trend::Additive, S::None),
            Self::additive(Trend::None, S::Additive),
            Self::multiplicative(Trend::None, S::Additive),
            Self::multiplicative(Trend::None, S::Multiplicative),
            Self::additive(Trend::Damped, S::Additive),
            Self::multiplicative(Trend::Damped, S::Additive),
            Self::multiplicative(Trend::Damped, S::Multiplicative),
            Self::additive(Trend::Additive, S::Additive),
            Self::multiplicative(Trend::Additive, S::Additive),
            Self::multiplicative(Trend::Additive, S::Multiplicative),
        ]
    };

    /// With additive errors.
    #[must_use]
    pub const fn additive(trend: Trend, seasonal: Seasonal) -> Self {
        Self { error: Error::Additive, trend, seasonal, transient: false }
    }

    /// With multiplicative errors.
    #[must_use]
    pub const fn multiplicative(trend: Trend, seasonal: Seasonal) -> Self {
        Self { error: Error::Multiplicative, trend, seasonal, transient: false }
    }

    /// The same with a part of each innovation that fades.
    #[must_use]
    pub const fn with_transient(self) -> Self {
        Self { transient: true, ..self }
    }

    /// Whether it makes sense of positive values only.
    #[must_use]
    pub fn needs_positive(self) -> bool {
        self.error == Error::Multiplicative || self.seasonal == Seasonal::Multiplicative
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = if self.error == Error::Additive { "A" } else { "M" };
        let trend = match self.trend {
            Trend::None => "N",
            Trend::Additive => "A",
            Trend::Damped => "Ad",
        };
        let seasonal = match self.seasonal {
            Seasonal::None => "N",
            Seasonal::Additive => "A",
            Seasonal::Multiplicative => "M",
        };
        let transient = if self.transient { "+AR(1)" } else { "" };
        write!(f, "ETS({error},{trend},{seasonal}){transient}")
    }
}
