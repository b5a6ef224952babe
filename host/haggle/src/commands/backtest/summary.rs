//! A report as text.

use haggle_backtest::{CompetitorReport, Metrics, Report};

use crate::table::{Header, Table};

const LEGEND: &str = "\
over capacity: share of time, and of requests, beyond what the ready replicas carry
θU, θO: missing and idle replicas relative to demand; τU, τO: time with too few and too many; in percent
vs oracle: replica-hours relative to a scaler that knows the load ahead";

/// A table of the competitors, and a table of the services if there are several.
pub(super) fn of(report: &Report) -> String {
    let least = report.competitors.get("oracle").map(|oracle| oracle.total.replica_hours);
    let mut table = Table::new([
        Header::Left(""),
        Header::Right("over capacity"),
        Header::Right("requests"),
        Header::Right("replica-hours"),
        Header::Right("vs oracle"),
        Header::Right("θU"),
        Header::Right("θO"),
        Header::Right("τU"),
        Header::Right("τO"),
        Header::Right("actions"),
        Header::Right("approved/reduced/denied"),
    ]);
    for (name, competitor) in &report.competitors {
        let CompetitorReport { total, negotiations, .. } = competitor;
        let ended = negotiations.map_or_else(
            || "-".to_owned(),
            |ended| format!("{}/{}/{}", ended.approved, ended.reduced, ended.denied),
        );
        table.row(std::iter::once(name.clone()).chain(cells(total, least)).chain([ended]));
    }
    let several = report.competitors.values().any(|competitor| competitor.services.len() > 1);
    let services = if several { format!("\n\n{}", by_service(report)) } else { String::new() };
    format!("{table}{services}\n\n{LEGEND}")
}

fn by_service(report: &Report) -> Table {
    let mut table = Table::new([
        Header::Left("service"),
        Header::Left(""),
        Header::Right("over capacity"),
        Header::Right("requests"),
        Header::Right("replica-hours"),
        Header::Right("vs oracle"),
        Header::Right("θU"),
        Header::Right("θO"),
        Header::Right("τU"),
        Header::Right("τO"),
        Header::Right("actions"),
    ]);
    let oracle = report.competitors.get("oracle");
    let names = report.competitors.values().next().into_iter().flat_map(|any| any.services.keys());
    for service in names {
        let least = oracle
            .and_then(|oracle| oracle.services.get(service))
            .map(|metrics| metrics.replica_hours);
        let mut shown = service.to_string();
        for (name, competitor) in &report.competitors {
            if let Some(metrics) = competitor.services.get(service) {
                let names = [std::mem::take(&mut shown), name.clone()];
                table.row(names.into_iter().chain(cells(metrics, least)));
            }
        }
    }
    table
}

fn cells(metrics: &Metrics, least: Option<f64>) -> [String; 9] {
    let relative = least.filter(|least| *least > 0.0).map(|least| metrics.replica_hours / least);
    [
        percent(metrics.over_capacity_time_share),
        percent(metrics.over_capacity_request_share),
        format!("{:.1}", metrics.replica_hours),
        relative.map_or_else(|| "-".to_owned(), |factor| format!("{factor:.2}x")),
        format!("{:.2}", metrics.theta_u),
        format!("{:.2}", metrics.theta_o),
        format!("{:.2}", metrics.tau_u),
        format!("{:.2}", metrics.tau_o),
        metrics.scaling_actions.to_string(),
    ]
}

fn percent(share: f64) -> String {
    format!("{:.3}%", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::of;
    use haggle_backtest::{CompetitorReport, Metrics, Negotiations, Report};
    use haggle_model::Name;

    #[test]
    fn competitors_stand_below_each_other_and_services_only_where_there_are_several() {
        let metrics = |replica_hours| Metrics { replica_hours, ..Metrics::default() };
        let competitor = |hours| CompetitorReport {
            total: metrics(hours),
            negotiations: Some(Negotiations { approved: 3, reduced: 2, denied: 1 }),
            services: [(Name::new("web").unwrap(), metrics(hours))].into(),
        };
        let mut report = Report::default();
        report.competitors.insert("haggle".to_owned(), competitor(15.0));
        report.competitors.insert("oracle".to_owned(), competitor(10.0));
        let text = of(&report);
        let haggle = text.lines().find(|line| line.starts_with("haggle")).unwrap();
        assert!(haggle.contains("1.50x") && haggle.ends_with("3/2/1"), "{text}");
        assert!(!text.contains("web"), "{text}");
        let cart = Name::new("cart").unwrap();
        for competitor in report.competitors.values_mut() {
            competitor.services.insert(cart.clone(), metrics(1.0));
        }
        let text = of(&report);
        assert_eq!(text.lines().filter(|line| line.starts_with("web")).count(), 1, "{text}");
    }
}
