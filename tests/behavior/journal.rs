//! No event is lost or repeated, however often and wherever the line is cut; what the journal no
//! longer holds is announced.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::client::Frame;
use crate::support::seed::Chance;
use crate::support::turn::output_bytes;
use crate::support::{Client, Connect, Gateway, Role};

/// Every event from there to the head it was attached at.
async fn replay(connect: Connect<'_>) -> (Client, Vec<Frame>) {
    let mut client = connect.open().await;
    client.patience = Duration::from_secs(30);
    let events = client.pending().await;
    (client, events)
}

fn seqs(events: &[Frame]) -> Vec<u64> {
    events
        .iter()
        .map(|event| event.seq().unwrap_or_else(|| panic!("{}", event.raw)))
        .collect()
}

fn raws(events: &[Frame]) -> Vec<&str> {
    events.iter().map(|event| event.raw.as_str()).collect()
}

/// A session with some history, and its events as first heard.
async fn history(client: &mut Client) -> Vec<Frame> {
    for code in [
        "print('one')",
        "import sys; print('two', file=sys.stderr); print('three')",
        "1 / 0",
        "'four'",
        "import os; os._exit(1)",
    ] {
        client.execute(code).await;
    }
    let mut events = Vec::new();
    loop {
        let event = client.take("an event", |frame| frame.seq().is_some()).await;
        let settled = ["saved", "unsaved"].contains(&event.kind()) && event["turn"] == 5;
        events.push(event);
        if settled {
            return events;
        }
    }
}

#[tokio::test]
async fn events_are_numbered_from_one_without_holes() {
    let mut client = Gateway::shared().user().connect().open().await;
    assert_eq!(client.head(), 0);
    assert_eq!(client.attached["recovered"], false);
    assert_eq!(client.attached.json.get("common_seq"), None);
    let events = history(&mut client).await;
    assert_eq!(seqs(&events), (1..=events.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn resuming_anywhere_gives_exactly_the_rest() {
    let user = Gateway::shared().user();
    let mut client = user.join("s").open().await;
    let events = history(&mut client).await;
    let (epoch, head) = (client.epoch().to_owned(), events.len() as u64);
    for cut in 0..=head {
        let (resumed, rest) = replay(user.join("s").after(&epoch, cut)).await;
        assert_eq!(resumed.attached["recovered"], true);
        assert_eq!(resumed.attached.json.get("common_seq"), None);
        assert_eq!(resumed.head(), head);
        assert_eq!(resumed.epoch(), epoch);
        assert_eq!(raws(&rest), raws(&events[cut as usize..]), "after {cut}");
    }
}

#[tokio::test]
async fn after_zero_gives_all_and_no_after_gives_nothing() {
    let user = Gateway::shared().user();
    let mut client = user.join("s").open().await;
    let events = history(&mut client).await;
    let (all, replayed) = replay(user.join("s").after_zero()).await;
    assert_eq!(all.attached["recovered"], true);
    assert_eq!(raws(&replayed), raws(&events));
    let (mut now, replayed) = replay(user.join("s")).await;
    assert!(replayed.is_empty(), "{replayed:?}");
    assert_eq!(now.attached["recovered"], false);
    assert_eq!(now.print("print('next')").await, "next\n");
}

#[tokio::test]
async fn a_foreign_epoch_shares_nothing_and_gets_all() {
    let user = Gateway::shared().user();
    let mut client = user.join("s").open().await;
    let events = history(&mut client).await;
    let (resumed, replayed) = replay(user.join("s").after("0123456789ab", 3)).await;
    assert_eq!(resumed.attached["recovered"], false);
    assert_eq!(resumed.attached["common_seq"], 0);
    assert_eq!(raws(&replayed), raws(&events));
}

#[tokio::test]
async fn a_resume_point_beyond_the_head_shares_what_there_is() {
    let user = Gateway::shared().user();
    let mut client = user.join("s").open().await;
    let events = history(&mut client).await;
    let head = events.len() as u64;
    let epoch = client.epoch().to_owned();
    let (resumed, replayed) = replay(user.join("s").after(&epoch, head + 5)).await;
    assert_eq!(resumed.attached["recovered"], false);
    assert_eq!(resumed.attached["common_seq"], head);
    assert!(replayed.is_empty());
}

#[tokio::test]
async fn what_the_journal_no_longer_holds_is_announced_as_a_gap() {
    let user = Gateway::small().user();
    let mut client = user.join("s").open().await;
    for _ in 0..3 {
        client.print("for i in range(800): print('x' * 1000)").await;
    }
    let epoch = client.epoch().to_owned();
    let head = client.settled(3).await.number("seq");
    for (connect, first) in [
        (user.join("s").after_zero(), 1),
        (user.join("s").after(&epoch, 2), 3),
    ] {
        let (resumed, replayed) = replay(connect).await;
        assert_eq!(resumed.attached["recovered"], true);
        let (gap, rest) = replayed.split_first().expect("a gap");
        assert_eq!(gap.kind(), "gap", "{}", gap.raw);
        assert_eq!(gap["from"], first);
        let next = gap.number("to") + 1;
        assert_eq!(seqs(rest), (next..=head).collect::<Vec<_>>());
        let kept: usize = rest.iter().map(|event| event.raw.len()).sum();
        assert!(kept < 2 << 20, "{kept} bytes are kept of 1 MiB");
        assert!(kept > 256 << 10, "{kept} bytes are too few");
    }
}

#[tokio::test]
async fn a_reader_who_falls_behind_while_attached_gets_a_gap() {
    let user = Gateway::small().user();
    let mut slow = user
        .join("s")
        .after_zero()
        .query("window", "2000")
        .open()
        .await;
    let mut fast = user.join("s").open().await;
    for _ in 0..3 {
        fast.print("for i in range(800): print('x' * 1000)").await;
    }
    let last = fast.settled(3).await.number("seq");
    let mut expected = 1;
    let mut gaps = 0;
    while expected <= last {
        let frame = slow
            .take("an event or a gap", |frame| {
                frame.seq().is_some() || frame.kind() == "gap"
            })
            .await;
        if frame.kind() == "gap" {
            assert_eq!(frame["from"], expected, "{}", frame.raw);
            expected = frame.number("to") + 1;
            gaps += 1;
        } else {
            assert_eq!(frame.seq(), Some(expected));
            slow.send(json!({"type": "ack", "seq": expected})).await;
            expected += 1;
        }
    }
    assert!(gaps >= 1);
}

#[tokio::test]
async fn a_line_cut_anywhere_loses_and_repeats_nothing() {
    let mut chance = Chance::printed();
    let user = Gateway::shared().user();
    let mut client = user.join("s").open().await;
    let epoch = client.epoch().to_owned();
    client
        .execute(
            "import sys, time\n\
             for i in range(3000):\n    \
                 print(i, '漢😀', file=sys.stderr if i % 7 == 0 else sys.stdout)\n    \
                 if i % 10 == 0: time.sleep(0.005)",
        )
        .await;
    let (mut seq, mut cuts, mut text) = (0, 0, Vec::new());
    'turn: loop {
        for _ in 0..1 + chance.below(30) {
            let event = client.take("an event", |frame| frame.seq().is_some()).await;
            assert_eq!(event.seq(), Some(seq + 1), "{}", event.raw);
            seq += 1;
            match event.kind() {
                "output" => text.extend(output_bytes(&event)),
                "finished" => break 'turn,
                _ => {}
            }
        }
        drop(client);
        cuts += 1;
        client = user.join("s").after(&epoch, seq).open().await;
        assert_eq!(client.attached["recovered"], true);
    }
    println!("{cuts} cuts");
    assert!(cuts >= 3, "only {cuts} cuts: the test shows nothing");
    let expected: String = (0..3000).map(|i| format!("{i} 漢😀\n")).collect();
    assert!(text == expected.into_bytes(), "the bytes differ");
}

#[tokio::test]
async fn a_turn_goes_on_while_nobody_is_attached() {
    let user = Gateway::shared().user();
    let mut client = user.join("s").open().await;
    let epoch = client.epoch().to_owned();
    client
        .execute("import time\nfor i in range(10):\n    print(i)\n    time.sleep(0.05)")
        .await;
    let heard = client.expect("output").await.seq().unwrap();
    drop(client);
    let mut back = user.join("s").after(&epoch, heard).open().await;
    let rest = back.collect(1).await;
    rest.ends("ok", 0);
    assert!(rest.stdout().ends_with("8\n9\n"));
    let (_, all) = replay(user.join("s").after_zero()).await;
    let text: Vec<u8> = all
        .iter()
        .filter(|event| event.kind() == "output")
        .flat_map(output_bytes)
        .collect();
    assert_eq!(text, b"0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
}

#[tokio::test]
async fn a_window_bounds_what_is_under_way() {
    const WINDOW: usize = 1500;
    let user = Gateway::shared().user();
    let mut all = user.join("s").open().await;
    let mut windowed = user
        .join("s")
        .query("window", &WINDOW.to_string())
        .open()
        .await;
    let turn = all
        .run(
            "import sys\n\
             for i in range(40):\n    \
                 print(i, 'x' * 50)\n    \
                 print(i, file=sys.stderr)\n\
             print('y' * 10_000)",
        )
        .await;
    turn.ok();
    let mut expected = turn.events;
    expected.push(all.settled(1).await);
    let mut heard = Vec::new();
    while heard.len() < expected.len() {
        // All that the window lets through is before the pong, or was on its way already.
        let mut batch = vec![
            windowed
                .take("an event", |frame| frame.seq().is_some())
                .await,
        ];
        batch.extend(windowed.pending().await);
        let bytes: usize = batch.iter().map(|event| event.raw.len()).sum();
        assert!(
            bytes <= WINDOW || batch.len() == 1,
            "{bytes} bytes in {} events",
            batch.len()
        );
        let last = batch.last().unwrap().seq().unwrap();
        heard.extend(batch);
        assert!(
            windowed.pending().await.is_empty(),
            "more came without an ack"
        );
        windowed.send(json!({"type": "ack", "seq": last})).await;
    }
    assert_eq!(raws(&heard), raws(&expected));
}

#[tokio::test]
async fn an_ack_of_the_future_or_the_past_opens_nothing() {
    let user = Gateway::shared().user();
    let mut all = user.join("s").open().await;
    let mut windowed = user.join("s").query("window", "300").open().await;
    for seq in [json!(1_000_000), json!(0)] {
        windowed.send(json!({"type": "ack", "seq": seq})).await;
    }
    let turn = all
        .run("import sys\nfor i in range(20):\n    print(i)\n    print(i, file=sys.stderr)")
        .await;
    turn.ok();
    windowed
        .take("an event", |frame| frame.seq().is_some())
        .await;
    let rest = windowed.pending().await;
    let events = rest.iter().filter(|frame| frame.seq().is_some()).count();
    assert!(events < 10, "{events} events passed a window of 300 bytes");
}

#[tokio::test]
async fn one_write_larger_than_the_journal_reaches_an_attached_client_whole() {
    let mut client = Gateway::small().user().connect().open().await;
    let turn = client.run("print('x' * 1_900_000)").await;
    assert_eq!(turn.ok().len(), 1_900_001);
}

#[tokio::test]
async fn output_that_nobody_takes_for_too_long_ends_the_turn() {
    let user = Gateway::small().user();
    let mut stuck = user.join("s").query("window", "1000").open().await;
    let mut viewer = user.join("s").role(Role::Viewer).open().await;
    viewer.patience = Duration::from_secs(20);
    stuck
        .execute("for i in range(1500): print('x' * 1000)")
        .await;
    let turn = viewer.collect(1).await;
    turn.ends("output_limit", 153);
    assert_ne!(turn.finished()["error"], Value::Null);
    let told = turn.bytes("stdout").len();
    assert!((200_000..1_500_000).contains(&told), "{told} bytes");
}

#[tokio::test]
async fn a_guest_goes_on_when_its_reader_comes_back() {
    let user = Gateway::small().user();
    let mut client = user.join("s").open().await;
    let epoch = client.epoch().to_owned();
    client
        .execute("for i in range(1500): print('x' * 1000)")
        .await;
    let heard = client.expect("started").await.number("seq");
    drop(client);
    let mut back = user.join("s").after(&epoch, heard).open().await;
    let turn = back.collect(1).await;
    assert_eq!(turn.ok().len(), 1500 * 1001);
}
