//! The recurrent part: a ring of neurons with fixed weights, after Rodan & Tiňo, "Minimum complexity echo state
//! network" (2011), with leaky neurons (Jaeger, Lukoševičius, Popovici & Siewert, "Optimization and applications of
//! echo state networks with leaky-integrator neurons", 2007). One half of the ring is fast and the other is slow,
//! so that it remembers over a few steps and over many.

/// How many neurons there are.
pub const NEURONS: usize = 32;
/// The number of inputs of each neuron: the value, and its place in the season (a sine and a cosine).
pub const INPUTS: usize = 3;

/// The activations of the neurons, each within ±1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reservoir {
    /// In the order of the ring.
    pub neurons: [f64; NEURONS],
}

/// The weight from a neuron to the next: below 1, so that the past fades.
const RING: f64 = 0.9;
/// The magnitudes of the input weights; the signs are the bits of `SIGNS`.
const SIZES: [f64; INPUTS] = [0.5, 0.3, 0.3];
/// The signs: the binary digits of π, e and the golden ratio.
const SIGNS: [u32; INPUTS] = [0x243f_6a88, 0xb7e1_5162, 0x9e37_79b9];
/// How quickly the fast and the slow half follow.
const LEAKS: [f64; 2] = [0.9, 0.15];

impl Default for Reservoir {
    fn default() -> Self {
        Self { neurons: [0.0; NEURONS] }
    }
}

impl Reservoir {
    /// Updates the neurons with the next inputs.
    pub fn update(&mut self, inputs: [f64; INPUTS]) {
        let mut before = self.neurons.last().copied().unwrap_or(0.0);
        for (place, neuron) in self.neurons.iter_mut().enumerate() {
            let driven: f64 = inputs
                .iter()
                .zip(SIZES)
                .zip(SIGNS)
                .map(
                    |((input, size), signs)| {
                        if signs >> place & 1 == 1 { size * input } else { -size * input }
                    },
                )
                .sum();
            let [fast, slow] = LEAKS;
            let leak = if place < NEURONS / 2 { fast } else { slow };
            let own = *neuron;
            *neuron += leak * (tanh(RING * before + driven) - own);
            before = own;
        }
    }
}

/// The hyperbolic tangent to four digits, by Lambert's continued fraction (1770) up to its seventh term: the
/// library's function is exact, but ten times as slow on a target without an instruction for it.
pub(crate) fn tanh(x: f64) -> f64 {
    let square = x * x;
    let above = x * (135_135.0 + square * (17_325.0 + square * (378.0 + square)));
    let below = 135_135.0 + square * (62_370.0 + square * (3_150.0 + square * 28.0));
    (above / below).clamp(-1.0, 1.0)
}
