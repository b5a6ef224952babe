//! The number of visitors of the shop: a daily wave, noise, and campaigns. Relative to the start of the
//! story, every run has the same numbers.

use std::f64::consts::TAU;

use haggle_model::{Span, Timestamp};

/// Average requests of visitors per second over a day.
const USUAL: f64 = 260.0;

/// Amplitude of the daily wave, in requests per second.
const WAVE: f64 = 170.0;

const DAY: f64 = 24.0 * 60.0;

/// Minutes from the start of the story to the first campaign.
const CAMPAIGN_AFTER: f64 = 22.0;
const CAMPAIGN_EVERY: f64 = 180.0;
const CAMPAIGN_LENGTH: f64 = 30.0;
const CAMPAIGN_RISE: f64 = 8.0;

/// Additional visitors at the peak of a campaign, as a share.
const CAMPAIGN_LIFT: f64 = 0.9;

/// Requests of visitors per second at `at`.
pub(super) fn visitors(story: Timestamp, at: Timestamp) -> f64 {
    let minutes = minutes_into(story, at);
    // The story begins in the morning, when the wave rises.
    let wave = USUAL + WAVE * (TAU * minutes / DAY).sin();
    wave * (1.0 + campaign(minutes))
}

/// A factor around 1 that varies by thing and minute.
pub(super) fn noise(thing: u64, at: Timestamp) -> f64 {
    // The sum of four uniform values approximates a normal distribution.
    let sum: f64 = (0..4).map(|n| uniform(thing * 4 + n, at)).sum();
    1.0 + 0.05 * (sum - 2.0)
}

/// A number from 0 to 1 that depends only on a thing and a time.
pub(super) fn uniform(thing: u64, at: Timestamp) -> f64 {
    // SplitMix64's output function (Steele, Lea and Flood, 2014) over a mixed seed.
    let mut bits = at.as_millis().wrapping_add(thing.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^= bits >> 31;
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

fn campaign(minutes: f64) -> f64 {
    let since = minutes - CAMPAIGN_AFTER;
    if since < 0.0 {
        return 0.0;
    }
    let into = since % CAMPAIGN_EVERY;
    let rise = (into / CAMPAIGN_RISE).min(1.0);
    let fall = ((CAMPAIGN_LENGTH - into) / CAMPAIGN_RISE).clamp(0.0, 1.0);
    CAMPAIGN_LIFT * rise.min(fall)
}

/// Negative before the story begins.
fn minutes_into(story: Timestamp, at: Timestamp) -> f64 {
    let minutes = |span: Span| span.as_secs_f64() / 60.0;
    minutes(at.since(story)) - minutes(story.since(at))
}

#[cfg(test)]
mod tests {
    use super::{CAMPAIGN_LIFT, noise, uniform, visitors};
    use haggle_model::{Span, Timestamp};

    fn at(minutes: u64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000) + Span::from_mins(minutes)
    }

    #[test]
    fn the_load_is_a_wave_with_campaigns_in_the_story_only() {
        let story = at(10_000);
        let day_before = visitors(story, at(10_000 + 40 - 24 * 60));
        let campaign = visitors(story, at(10_000 + 40));
        assert!((campaign / day_before - 1.0 - CAMPAIGN_LIFT).abs() < 1e-9);
        assert!((visitors(story, at(10_000)) - 260.0).abs() < 1e-9);
        for minute in 5_000..15_000 {
            assert!(visitors(story, at(minute)) > 0.0);
        }
    }

    #[test]
    fn noise_is_small_and_around_one() {
        let all: Vec<f64> = (0..1000).map(|minute| noise(3, at(minute))).collect();
        let mean = all.iter().sum::<f64>() / 1000.0;
        assert!((mean - 1.0).abs() < 0.005, "{mean}");
        assert!(all.iter().all(|noise| (0.9..=1.1).contains(noise)));
        assert!(uniform(1, at(0)) != uniform(2, at(0)) && uniform(1, at(0)) != uniform(1, at(1)));
    }
}
