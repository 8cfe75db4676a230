//! Many sessions that all run small turns at once.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::Effort;
use crate::client::{Appetite, Client};
use crate::gateway::{Gateway, Program};
use crate::row::{Bound, Row};
use crate::samples::Samples;

const SESSIONS: usize = 50;
const TURNS: usize = 20;
const ROUNDS: usize = 20;
const WARM_UP: usize = 3;

const CODE: &str = "print(1)";

pub async fn measure(program: &Program, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let gateway = Gateway::start(program)?;
    let mut clients = Vec::new();
    for number in 0..SESSIONS {
        let token = gateway.token(&format!("member-{number}"))?;
        clients.push(Client::connect(&gateway, &token, "", Appetite::Small).await?);
    }
    let (mut rates, mut waits) = (Vec::new(), Vec::new());
    for round in 0..WARM_UP + effort.count(ROUNDS) {
        let began = Instant::now();
        let (back, each) = all_at_once(clients).await?;
        let seconds = began.elapsed().as_secs_f64();
        clients = back;
        if round >= WARM_UP {
            rates.push((SESSIONS * TURNS) as f64 / seconds);
            waits.extend(each);
        }
    }
    let waits = Samples::new(waits);
    Ok(vec![
        Row::new(
            format!("{SESSIONS} sessions × {TURNS} turns at once"),
            "turns/s",
            &Samples::new(rates),
        )
        .promise_median(Bound::AtLeast(6_000.0))
        .note(format!(
            "`{CODE}`; the client is one thread on the same cores"
        )),
        Row::new("a turn among those, round trip", "ms", &waits).promise_p99(Bound::AtMost(15.0)),
    ])
}

/// Every client runs its turns, one after the other; all begin together. Returns the clients, and
/// how long each turn took in milliseconds.
async fn all_at_once(clients: Vec<Client>) -> anyhow::Result<(Vec<Client>, Vec<f64>)> {
    let start = Arc::new(Barrier::new(clients.len()));
    let mut members = JoinSet::new();
    for mut client in clients {
        let start = start.clone();
        members.spawn(async move {
            start.wait().await;
            let mut waits = Vec::with_capacity(TURNS);
            for _ in 0..TURNS {
                waits.push(client.turn(CODE).await?.as_secs_f64() * 1e3);
            }
            anyhow::Ok((client, waits))
        });
    }
    let (mut back, mut waits) = (Vec::new(), Vec::new());
    while let Some(member) = members.join_next().await {
        let (client, its) = member??;
        back.push(client);
        waits.extend(its);
    }
    Ok((back, waits))
}
