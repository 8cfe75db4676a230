use std::time::Duration;

use super::*;

const LIMITS: JournalLimits = JournalLimits {
    kept_bytes_max: 64 << 10,
    event_bytes_max: 1 << 10,
    writer_lead_bytes_max: 4 << 10,
    unread_bytes_max: 8 << 10,
};
const TURN: TurnNumber = TurnNumber(1);

fn write(journal: &Journal, bytes: impl AsRef<[u8]>) {
    journal.output(TURN, Stream::Stdout, bytes.as_ref());
}

fn saved(journal: &Journal) -> Seq {
    journal.append(Event::Saved { turn: TURN })
}

/// Reads all that is there: the output's bytes, the number of events, and the gaps.
fn drain(cursor: &mut Cursor) -> (Vec<u8>, usize, Vec<(u64, u64)>) {
    let (mut bytes, mut count, mut gaps) = (Vec::new(), 0, Vec::new());
    loop {
        match cursor.read(usize::MAX) {
            Reading::Nothing => return (bytes, count, gaps),
            Reading::Gap { from, to } => gaps.push((from.0, to.0)),
            Reading::Events(events) => {
                for (_, event) in events {
                    count += 1;
                    if let Event::Output { bytes: more, .. } = &*event {
                        bytes.extend_from_slice(more);
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_written_is_read_once_and_in_order() {
    let journal = Journal::new(LIMITS);
    let (mut cursor, resumed) = journal.attach(&Resume::FromStart, Reader::Viewer);
    assert_eq!(resumed.recovery, Recovery::Complete);
    write(&journal, "one ");
    write(&journal, "two");
    assert_eq!(saved(&journal), Seq(2));
    write(&journal, " three");
    let (bytes, count, gaps) = drain(&mut cursor);
    assert_eq!(bytes, b"one two three");
    assert_eq!((count, gaps.len()), (3, 0));
    assert_eq!(journal.head(), Seq(3));
}

#[test]
fn small_writes_gather_until_somebody_reads() {
    let journal = Journal::new(LIMITS);
    let (mut cursor, _) = journal.attach(&Resume::FromStart, Reader::Viewer);
    for _ in 0..100 {
        write(&journal, "x");
    }
    assert_eq!(drain(&mut cursor).1, 1);
    write(&journal, "y");
    assert_eq!(drain(&mut cursor).1, 1);
}

#[test]
fn an_event_never_exceeds_its_bound_nor_splits_a_character() {
    let journal = Journal::new(LIMITS);
    let (mut cursor, _) = journal.attach(&Resume::FromStart, Reader::Viewer);
    let text = "你好🦀é".repeat(500);
    for chunk in text.as_bytes().chunks(7) {
        write(&journal, chunk);
    }
    let mut all = String::new();
    while let Reading::Events(events) = cursor.read(usize::MAX) {
        for (_, event) in events {
            let Event::Output { bytes, .. } = &*event else {
                panic!("only output was written");
            };
            assert!(bytes.len() <= LIMITS.event_bytes_max);
            all.push_str(std::str::from_utf8(bytes).expect("whole characters"));
        }
    }
    assert_eq!(all, text);
}

#[test]
fn an_unfinished_character_waits_for_its_rest_across_streams() {
    let journal = Journal::new(LIMITS);
    let (mut cursor, _) = journal.attach(&Resume::FromStart, Reader::Viewer);
    let crab = "🦀".as_bytes();
    write(&journal, &crab[..2]);
    assert!(!cursor.has_news());
    journal.output(TURN, Stream::Stderr, b"err");
    write(&journal, &crab[2..]);
    let mut seen = Vec::new();
    while let Reading::Events(events) = cursor.read(usize::MAX) {
        for (_, event) in events {
            if let Event::Output { stream, bytes, .. } = &*event {
                seen.push((*stream, bytes.to_vec()));
            }
        }
    }
    assert_eq!(
        seen,
        vec![
            (Stream::Stderr, b"err".to_vec()),
            (Stream::Stdout, crab.to_vec())
        ]
    );
}

#[test]
fn what_never_becomes_a_character_comes_before_the_next_event() {
    let journal = Journal::new(LIMITS);
    let (mut cursor, _) = journal.attach(&Resume::FromStart, Reader::Viewer);
    write(&journal, [b'a', 0xf0, 0x9f]);
    saved(&journal);
    let (bytes, count, _) = drain(&mut cursor);
    assert_eq!(bytes, [b'a', 0xf0, 0x9f]);
    assert_eq!(count, 3);
}

#[test]
fn what_the_journal_dropped_is_a_gap_in_its_place() {
    let journal = Journal::new(LIMITS);
    let (mut cursor, _) = journal.attach(&Resume::FromStart, Reader::Viewer);
    for _ in 0..200 {
        write(&journal, [b'x'; 1000]);
        saved(&journal);
    }
    let (bytes, count, gaps) = drain(&mut cursor);
    let [(1, to)] = gaps[..] else {
        panic!("one gap from the start, not {gaps:?}");
    };
    assert_eq!(to + count as u64, journal.head().0);
    assert!(bytes.len() <= LIMITS.kept_bytes_max as usize);
}

#[test]
fn a_resume_point_is_judged_by_its_history() {
    let journal = Journal::new(LIMITS);
    for _ in 0..5 {
        saved(&journal);
    }
    let epoch = journal.epoch();
    let other = Epoch::random();
    let diverged = |seq| Recovery::Diverged {
        common_seq: Seq(seq),
    };
    for (resume, recovery, rest) in [
        (Resume::FromNow, Recovery::NotAsked, 0),
        (Resume::FromStart, Recovery::Complete, 5),
        (after(&epoch, 0), Recovery::Complete, 5),
        (after(&epoch, 3), Recovery::Complete, 2),
        (after(&epoch, 5), Recovery::Complete, 0),
        (after(&epoch, 6), diverged(5), 0),
        (after(&other, 3), diverged(0), 5),
    ] {
        let (mut cursor, resumed) = journal.attach(&resume, Reader::Viewer);
        assert_eq!(resumed.recovery, recovery, "{resume:?}");
        assert_eq!(drain(&mut cursor).1, rest, "{resume:?}");
    }
}

fn after(epoch: &Epoch, seq: u64) -> Resume {
    Resume::After {
        epoch: epoch.clone(),
        seq: Seq(seq),
    }
}

#[test]
fn the_guest_waits_for_the_fastest_writer_only() {
    let journal = Journal::new(LIMITS);
    let (slow, _) = journal.attach(&Resume::FromStart, Reader::Writer);
    let (mut fast, _) = journal.attach(&Resume::FromStart, Reader::Writer);
    let (viewer, _) = journal.attach(&Resume::FromStart, Reader::Viewer);
    write(&journal, [b'x'; 5 << 10]);
    assert!(!journal.has_room());
    drain(&mut fast);
    fast.taken();
    assert!(journal.has_room());
    write(&journal, [b'x'; 5 << 10]);
    assert!(!journal.has_room(), "the fast writer has not taken this");
    drop((slow, viewer, fast));
    assert!(
        journal.has_room(),
        "nobody is attached: the wider bound holds"
    );
}

#[test]
fn with_no_writer_what_nobody_received_is_bounded() {
    let journal = Journal::new(LIMITS);
    write(&journal, [b'x'; 8 << 10]);
    assert!(journal.has_room());
    write(&journal, "more");
    assert!(!journal.has_room());
    let (mut viewer, _) = journal.attach(&Resume::FromStart, Reader::Viewer);
    drain(&mut viewer);
    viewer.taken();
    assert!(journal.has_room(), "a viewer has received it");
}

#[tokio::test]
async fn a_waiting_reader_and_a_waiting_guest_are_woken() {
    let journal = Journal::new(LIMITS);
    let (mut cursor, _) = journal.attach(&Resume::FromStart, Reader::Writer);
    let reading = tokio::spawn(async move {
        cursor.news(News::Any).await;
        drain(&mut cursor);
        cursor.taken();
        cursor
    });
    tokio::task::yield_now().await;
    write(&journal, [b'x'; 5 << 10]);
    let patience = Duration::from_secs(5);
    let woken = tokio::time::timeout(patience, reading).await;
    let _cursor = woken.expect("woken").expect("no panic");
    tokio::time::timeout(patience, journal.room())
        .await
        .expect("there is room once it is read");
}
