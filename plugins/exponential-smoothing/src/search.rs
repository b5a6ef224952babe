use crate::{
    filter::Distribution,
    fit::Fit,
    form::{Form, Seasonal, Trend},
    initial::Beginnings,
};

/// The number of forms that get the closer search, if no forecasts of the past decide.
const FINALISTS: usize = 3;
/// If the history has at least so many periods of the shortest season, forecasts of the past choose among the best
/// forms.
const PERIODS: usize = 10;

/// The initial profiles of the seasons that are worth their parameters. The criterion chooses among every single
/// season and every pair. It is computed for the form that absent seasons mislead least.
pub(crate) fn beginnings(values: &[f64], seasons: &[usize], errors: Distribution) -> Beginnings {
    let fits = |m: &usize| *m >= 2 && 2 * *m <= values.len();
    let mut seasons: Vec<usize> = seasons.iter().copied().filter(fits).collect();
    seasons.sort_unstable();
    seasons.dedup();
    if seasons.len() < 2 {
        return Beginnings::of(values, &seasons);
    }
    // A multiple of a season contains the season, but its profile is learnt more slowly.
    let multiple = |m: &usize| seasons.iter().any(|short| short < m && m.is_multiple_of(*short));
    let single = seasons.iter().filter(|m| !multiple(m)).map(|m| vec![*m]);
    let pair = |(place, short): (usize, &usize)| {
        let longer = seasons.iter().skip(place + 1);
        longer.map(|long| vec![*short, *long]).collect::<Vec<_>>()
    };
    let pairs = seasons.iter().enumerate().flat_map(pair);
    let probe = Form::additive(Trend::None, Seasonal::Additive).with_transient();
    let tried = single.chain(pairs).map(|seasons| {
        let begin = Beginnings::of(values, &seasons);
        (Fit::first(values, &begin, probe, errors).criterion(), begin)
    });
    let best = tried.min_by(|a, b| a.0.total_cmp(&b.0));
    best.map_or_else(|| Beginnings::of(values, &[]), |(_, begin)| begin)
}

/// The form with the lowest corrected Akaike criterion of the given ones.
pub(crate) fn search(
    values: &[f64],
    begin: &Beginnings,
    forms: &[Form],
    errors: Distribution,
) -> Option<Fit> {
    let mut fits = looked_at(values, begin, forms, errors);
    fits.truncate(FINALISTS);
    fits.iter_mut().for_each(|fit| fit.look_closer(values));
    sort(&mut fits);
    fits.into_iter().next()
}

/// The best of all forms, including those with transients. The criterion chooses the best form of each kind. Among
/// these, forecasts of the past over the horizon choose if the history has enough periods of the season; otherwise
/// the criterion does.
pub(crate) fn search_over(
    values: &[f64],
    begin: &Beginnings,
    errors: Distribution,
    horizon: usize,
) -> Option<Fit> {
    let mut fits = looked_at(values, begin, &Form::ALL, errors);
    // The best form of each trend that can be combined with a transient.
    let mut forms: Vec<Form> = Vec::new();
    for Fit { form, .. } in &fits {
        let alike = |known: &Form| known.trend == form.trend && seasonal(known) == seasonal(form);
        if form.trend != Trend::Additive && !forms.iter().any(alike) {
            forms.push(*form);
        }
    }
    let fading = forms.into_iter().map(Form::with_transient);
    fits.extend(fading.map(|form| Fit::first(values, begin, form, errors)));
    sort(&mut fits);
    let often = begin.seasons.first().is_some_and(|m| values.len() >= PERIODS * m);
    let mut kinds: Vec<Form> = Vec::new();
    fits.retain(|fit| {
        let new = is_new_kind(&kinds, &fit.form, often);
        if new {
            kinds.push(fit.form);
        }
        new
    });
    fits.iter_mut().for_each(|fit| fit.look_closer(values));
    sort(&mut fits);
    if !often {
        return fits.into_iter().next();
    }
    let judged = fits.into_iter().map(|mut fit| (fit.tune(values, horizon), fit));
    judged.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, fit)| fit)
}

/// Fits each form that applies to the values with the short search; the best first.
fn looked_at(values: &[f64], begin: &Beginnings, forms: &[Form], errors: Distribution) -> Vec<Fit> {
    let sensible = |form: &&Form| {
        (begin.positive() || !form.needs_positive())
            && (!begin.seasons.is_empty() || !seasonal(form))
    };
    let forms = forms.iter().filter(sensible);
    let mut fits: Vec<Fit> = forms.map(|form| Fit::first(values, begin, *form, errors)).collect();
    sort(&mut fits);
    fits
}

/// Sorts the fits, the best first, and drops those without a finite criterion.
fn sort(fits: &mut Vec<Fit>) {
    fits.retain(|fit| fit.criterion().is_finite());
    fits.sort_by(|a, b| a.criterion().total_cmp(&b.criterion()));
}

fn seasonal(form: &Form) -> bool {
    form.seasonal != Seasonal::None
}

/// Whether a form gets the closer search in addition to the known ones. If the history has many periods, most of
/// these are seasonal: one step ahead, a fast level without seasons may be as good.
fn is_new_kind(known: &[Form], form: &Form, often: bool) -> bool {
    let most = match (often, seasonal(form)) {
        (true, true) => 5,
        (true, false) => 1,
        (false, _) => 3,
    };
    let mut alike = known.iter().filter(|other| seasonal(other) == seasonal(form));
    let same = |other: &Form| other.trend == form.trend && other.transient == form.transient;
    alike.clone().count() < most && !alike.any(same)
}
