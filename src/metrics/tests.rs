//! Promises of the page as a whole.

use std::collections::BTreeMap;

use super::*;

/// The samples of a page by name and labels, after a check that every line is well-formed.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let body = page.strip_suffix("# EOF\n").expect("the page says its end");
    let mut samples = BTreeMap::new();
    for line in body.lines().filter(|line| !is_comment(line)) {
        let (series, value) = line.rsplit_once(' ').expect(line);
        let (name, labels) = match series.strip_suffix('}') {
            Some(rest) => rest.split_once('{').expect(line),
            None => (series, ""),
        };
        assert!(is_name(name), "{line}");
        for label in labels.split_terminator(',') {
            let (key, value) = label.split_once('=').expect(line);
            let quoted = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
            assert!(is_name(key) && quoted.is_some(), "{line}");
        }
        let value = value.parse().expect(line);
        let seen_before = samples.insert(series.to_owned(), value);
        assert_eq!(seen_before, None, "{line}");
    }
    samples
}

fn is_comment(line: &str) -> bool {
    let mut words = line.splitn(4, ' ');
    let is_comment = words.next() == Some("#");
    if is_comment {
        let kind = words.next().expect(line);
        assert!(["HELP", "TYPE", "UNIT"].contains(&kind), "{line}");
        assert!(words.next().is_some_and(is_name), "{line}");
        assert!(words.next().is_some(), "{line}");
    }
    is_comment
}

fn is_name(name: &str) -> bool {
    name.starts_with("weir_")
        || ["le", "state", "language", "status", "reason", "code"].contains(&name)
}

/// The value of one series; a series that is not there fails.
#[track_caller]
fn sample(metrics: &Metrics, series: &str) -> f64 {
    let samples = samples(&metrics.encode());
    *samples.get(series).unwrap_or_else(|| panic!("no {series}"))
}

/// Something of everything.
fn busy() -> Arc<Metrics> {
    let metrics = Metrics::new();
    metrics.session_state(None, Some(SessionState::Starting));
    metrics.session_started(Duration::from_micros(900));
    metrics.turn("python", Status::Ok, Duration::from_millis(2));
    metrics.turn("ruby", Status::Timeout, Duration::from_secs(30));
    metrics.first_output(Duration::from_micros(80));
    metrics.output(5);
    metrics.checkpoint(Duration::from_micros(250), 10_000);
    metrics.wake(Duration::from_millis(2));
    metrics.rollback(Status::Crashed);
    metrics.refusal(ErrorCode::QueueFull);
    metrics.guest_memory(1 << 20);
    metrics
}

#[test]
fn every_metric_of_the_contract_is_there_from_the_start() {
    let page = Metrics::new().encode();
    let types: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .collect();
    assert_eq!(
        types,
        [
            "weir_sessions gauge",
            "weir_connections gauge",
            "weir_turns counter",
            "weir_turn_seconds histogram",
            "weir_first_output_seconds histogram",
            "weir_session_start_seconds histogram",
            "weir_output_bytes counter",
            "weir_checkpoint_seconds histogram",
            "weir_checkpoint_bytes histogram",
            "weir_wake_seconds histogram",
            "weir_rollbacks counter",
            "weir_guest_memory_bytes gauge",
            "weir_refusals counter",
        ]
    );
}

#[test]
fn series_have_the_names_and_labels_of_the_contract() {
    let metrics = busy();
    let _open = metrics.connection();
    for (series, value) in [
        (r#"weir_sessions{state="starting"}"#, 1.0),
        (r#"weir_sessions{state="hibernated"}"#, 0.0),
        ("weir_connections", 1.0),
        (r#"weir_turns_total{language="python",status="ok"}"#, 1.0),
        (
            r#"weir_turns_total{language="python",status="timeout"}"#,
            0.0,
        ),
        (r#"weir_turns_total{language="ruby",status="timeout"}"#, 1.0),
        ("weir_turn_seconds_count", 2.0),
        ("weir_turn_seconds_sum", 30.002),
        (r#"weir_turn_seconds_bucket{le="0.0015"}"#, 0.0),
        (r#"weir_turn_seconds_bucket{le="0.003"}"#, 1.0),
        (r#"weir_turn_seconds_bucket{le="60.0"}"#, 2.0),
        (r#"weir_turn_seconds_bucket{le="+Inf"}"#, 2.0),
        (r#"weir_first_output_seconds_bucket{le="0.0001"}"#, 1.0),
        (r#"weir_session_start_seconds_bucket{le="0.001"}"#, 1.0),
        ("weir_output_bytes_total", 5.0),
        (r#"weir_checkpoint_seconds_bucket{le="0.0003"}"#, 1.0),
        ("weir_checkpoint_bytes_sum", 10_000.0),
        (r#"weir_checkpoint_bytes_bucket{le="4096.0"}"#, 0.0),
        (r#"weir_checkpoint_bytes_bucket{le="16384.0"}"#, 1.0),
        (r#"weir_wake_seconds_bucket{le="0.003"}"#, 1.0),
        (r#"weir_rollbacks_total{reason="crashed"}"#, 1.0),
        ("weir_guest_memory_bytes", 1_048_576.0),
        (r#"weir_refusals_total{code="queue_full"}"#, 1.0),
        (r#"weir_refusals_total{code="unauthorized"}"#, 0.0),
    ] {
        assert_eq!(sample(&metrics, series), value, "{series}");
    }
}

#[test]
fn a_session_is_counted_in_one_state_at_a_time_and_not_once_it_ended() {
    use SessionState::{Ended, Hibernated, Ready, Running, Starting};
    let metrics = Metrics::new();
    let counted = || {
        let json = metrics.json();
        let states = json["weir_sessions"].as_object().unwrap();
        let count = |(state, count): (&String, &Value)| {
            (count != &Value::from(0)).then(|| format!("{state}={count}"))
        };
        states.iter().filter_map(count).collect::<Vec<_>>()
    };
    for (from, to, expected) in [
        (None, Some(Starting), &["starting=1"][..]),
        (Some(Starting), Some(Ready), &["ready=1"]),
        (None, Some(Hibernated), &["hibernated=1", "ready=1"]),
        (Some(Ready), Some(Running), &["hibernated=1", "running=1"]),
        (Some(Running), Some(Ended), &["hibernated=1"]),
        (Some(Ended), None, &["hibernated=1"]),
        (Some(Hibernated), None, &[]),
    ] {
        metrics.session_state(from, to);
        assert_eq!(counted(), expected, "{from:?} to {to:?}");
    }
}

#[test]
fn a_connection_counts_until_its_guard_is_dropped() {
    let metrics = Metrics::new();
    let (one, other) = (metrics.connection(), metrics.connection());
    assert_eq!(sample(&metrics, "weir_connections"), 2.0);
    drop(one);
    assert_eq!(sample(&metrics, "weir_connections"), 1.0);
    drop(other);
    assert_eq!(sample(&metrics, "weir_connections"), 0.0);
}

#[test]
fn guest_memory_rises_and_falls() {
    let metrics = Metrics::new();
    metrics.guest_memory(4096);
    metrics.guest_memory(-1024);
    assert_eq!(sample(&metrics, "weir_guest_memory_bytes"), 3072.0);
}

#[test]
fn a_turn_that_never_ran_is_counted_but_not_timed() {
    let metrics = Metrics::new();
    for status in [Status::Cancelled, Status::Lost] {
        metrics.turn("python", status, Duration::ZERO);
    }
    assert_eq!(metrics.execution_count(), 0);
    let cancelled = r#"weir_turns_total{language="python",status="cancelled"}"#;
    assert_eq!(sample(&metrics, cancelled), 1.0);
    metrics.turn("python", Status::Failed, Duration::ZERO);
    assert_eq!(metrics.execution_count(), 1);
}

#[test]
fn json_has_the_figures_of_the_text_under_the_same_names() {
    let metrics = busy();
    let json = metrics.json();
    assert_eq!(json["execution_count"], 2);
    let mut compared = 0;
    for (series, value) in samples(&metrics.encode()) {
        let (name, labels) = series.split_once('{').unwrap_or((&series, ""));
        let labels: Vec<_> = labels.split('"').skip(1).step_by(2).collect();
        let of_histogram = ["_sum", "_count", "_bucket"]
            .iter()
            .find_map(|part| Some((&json[name.strip_suffix(part)?], &part[1..])));
        let figure = match (of_histogram, labels.as_slice()) {
            (Some((histogram, "bucket")), ["+Inf"]) => &histogram["count"],
            (Some((histogram, "bucket")), [bound]) => {
                let bound: f64 = bound.parse().unwrap();
                let buckets = histogram["buckets"].as_array().unwrap();
                &buckets.iter().find(|bucket| bucket["le"] == bound).unwrap()["count"]
            }
            (Some((histogram, part)), _) => &histogram[part],
            (None, labels) => labels
                .iter()
                .fold(&json[name], |figure, label| &figure[label]),
        };
        assert_eq!(figure.as_f64(), Some(value), "{series}");
        compared += 1;
    }
    assert!(compared > 100, "{compared} series");
}

#[test]
fn nothing_a_client_sends_can_add_a_series() {
    let metrics = busy();
    let before = samples(&metrics.encode()).len();
    for code in ErrorCode::ALL {
        metrics.refusal(code);
    }
    metrics.rollback(Status::Timeout);
    metrics.turn("python", Status::Exit, Duration::ZERO);
    assert_eq!(samples(&metrics.encode()).len(), before);
}
