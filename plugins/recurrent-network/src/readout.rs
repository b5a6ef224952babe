use haggle_forecasting::{Normal, Reader, Unreadable, Writer, dot};

use crate::reservoir::NEURONS;

/// The number of inputs of the readout: a constant 1, the last two values relative to the level, and the neurons.
pub const WIDTH: usize = 3 + NEURONS;
/// The largest number of steps ahead for which a readout is trained; it is interpolated between them.
const ANCHORS: usize = 8;

/// The trained part: for some steps ahead, a linear map from the inputs to the difference between the series and
/// its base forecast.
#[derive(Clone, Debug, PartialEq)]
pub struct Readout {
    /// The steps ahead, ascending, and the weights of each.
    pub maps: Vec<(usize, Vec<f64>)>,
}

/// Examples to train a readout on, summed up: linear least squares with a ridge.
#[derive(Clone, Debug)]
pub struct Examples {
    anchors: Vec<usize>,
    normal: Normal,
    count: usize,
}

impl Examples {
    /// No examples yet, for these anchors.
    #[must_use]
    pub fn new(anchors: &[usize]) -> Self {
        let normal = Normal::new(WIDTH, anchors.len());
        Self { anchors: anchors.to_vec(), normal, count: 0 }
    }

    /// Adds the inputs at some time, and the wanted output for each anchor (NaN if that is not known).
    pub fn add(&mut self, seen: &[f64; WIDTH], wanted: &[f64]) {
        self.count += 1;
        self.normal.add(seen, 1.0);
        for (place, wanted) in wanted.iter().enumerate() {
            if !wanted.is_nan() {
                self.normal.aim(place, seen, 1.0, *wanted);
            }
        }
    }

    /// The best readout for the examples under a ridge penalty, which is relative to their number.
    #[must_use]
    pub fn readout(&self, ridge: f64) -> Readout {
        let all: Vec<usize> = (0..WIDTH).collect();
        // The constant has hardly any penalty.
        let mut penalties = vec![ridge * self.count as f64; WIDTH];
        if let Some(first) = penalties.first_mut() {
            *first = 1.0;
        }
        let maps = self.normal.solve(&all, &penalties);
        Readout { maps: self.anchors.iter().copied().zip(maps).collect() }
    }
}

impl Readout {
    /// The steps ahead at which a readout for so many steps is trained: denser at first.
    #[must_use]
    pub fn anchors(horizon: usize) -> Vec<usize> {
        let last = horizon.max(1) as f64;
        let at = |i: usize| last.powf(i as f64 / (ANCHORS - 1) as f64).round() as usize;
        let mut anchors: Vec<usize> = (0..ANCHORS).map(at).collect();
        anchors.dedup();
        anchors
    }

    /// Writes the output for each of the next steps to `out`.
    pub fn say(&self, seen: &[f64; WIDTH], out: &mut [f64]) {
        let mut known = self.maps.iter().map(|(ahead, map)| (*ahead, dot(map, seen))).peekable();
        let Some(mut left) = known.peek().copied() else {
            out.fill(0.0);
            return;
        };
        for (value, ahead) in out.iter_mut().zip(1..) {
            while let Some(next) = known.next_if(|(at, _)| *at <= ahead) {
                left = next;
            }
            *value = known.peek().map_or(left.1, |right| {
                let part = ahead.saturating_sub(left.0) as f64 / (right.0 - left.0).max(1) as f64;
                left.1 + (right.1 - left.1) * part
            });
        }
    }

    /// Writes it.
    pub fn write(&self, out: &mut Writer) {
        out.length(self.maps.len());
        for (ahead, map) in &self.maps {
            out.length(*ahead);
            map.iter().for_each(|weight| out.short(*weight));
        }
    }

    /// Reads what [`Readout::write`] wrote.
    ///
    /// # Errors
    /// [`Unreadable`] if the bytes are not a readout.
    pub fn read(input: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let mut maps: Vec<(usize, Vec<f64>)> = Vec::new();
        for _ in 0..input.length(ANCHORS)? {
            let ahead = input.length(1 << 20)?;
            let map = (0..WIDTH).map(|_| input.short()).collect::<Result<_, _>>()?;
            if maps.last().is_some_and(|(before, _)| *before >= ahead) {
                return Err(Unreadable);
            }
            maps.push((ahead, map));
        }
        Ok(Self { maps })
    }
}
