//! A TCP proxy that spoils what passes through it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::ports::free_port;
use crate::Result;

/// What happens to connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Nothing.
    Clear,
    /// Every piece is late by the first, give or take the second.
    Late(Duration, Duration),
    /// Nothing passes, and nobody is told. What was under way arrives when it clears up.
    Silent,
    /// Connections are reset, and so is every new one.
    Reset,
    /// So many bytes pass in a second.
    Narrow(u32),
    /// Pieces are cut into slices of up to so many bytes.
    Sliced(usize),
    /// A connection is reset once so many more bytes have come from the server.
    Cut(usize),
}

/// A proxy on a free port of the loopback. Dropping it ends its connections.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    weather: watch::Sender<Weather>,
    _tasks: JoinSet<()>,
}

/// Where the bytes of a pump come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Client,
    Server,
}

impl Proxy {
    /// Passes connections on to this port.
    pub async fn to(server: u16, seed: u64) -> Result<Self> {
        Self::of(server, None, seed).await
    }

    /// The same; only those who connect from this address feel the weather.
    pub async fn of(server: u16, peer: Option<IpAddr>, seed: u64) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port()?)).await?;
        let port = listener.local_addr()?.port();
        let (weather, seen) = watch::channel(Weather::Clear);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let (mut connections, mut count) = (JoinSet::new(), seed);
            while let Ok((client, from)) = listener.accept().await {
                count = count.wrapping_add(1);
                let sky = match peer {
                    Some(peer) if from.ip() != peer => watch::channel(Weather::Clear).1,
                    _ => seen.clone(),
                };
                connections.spawn(join(client, server, sky, count));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            port,
            weather,
            _tasks: tasks,
        })
    }

    /// The port to connect to.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The URL to connect to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Changes the weather, also for the connections that there are.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

/// One connection, until either side ends it.
async fn join(client: TcpStream, server: u16, mut sky: watch::Receiver<Weather>, seed: u64) {
    // Whoever connects into silence hears nothing; into a reset, that.
    let weather = sky.wait_for(|weather| *weather != Weather::Silent).await;
    let Ok(weather) = weather.map(|weather| *weather) else {
        return;
    };
    if weather == Weather::Reset {
        drop(client.set_zero_linger());
        return;
    }
    let Ok(upstream) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else {
        return;
    };
    for stream in [&client, &upstream] {
        drop(stream.set_nodelay(true));
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = upstream.into_split();
    let up = pump(from_client, to_server, sky.clone(), From::Client, seed);
    let down = pump(from_server, to_client, sky.clone(), From::Server, !seed);
    // Whichever ends first takes the other with it.
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}

/// Passes bytes on in one direction until that ends.
async fn pump(
    mut source: OwnedReadHalf,
    mut sink: OwnedWriteHalf,
    mut sky: watch::Receiver<Weather>,
    from: From,
    seed: u64,
) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut buffer = [0; 16 * 1024];
    let mut left = None;
    // A sky that never changes any more has no sender.
    let mut is_fixed = false;
    loop {
        let size = tokio::select! {
            biased;
            changed = sky.changed(), if !is_fixed => {
                is_fixed = changed.is_err();
                left = None;
                // A silence that nobody will end is the end.
                if is_fixed && *sky.borrow() == Weather::Silent {
                    return;
                }
                if *sky.borrow() == Weather::Reset {
                    drop(sink.as_ref().set_zero_linger());
                    return;
                }
                continue;
            }
            read = source.read(&mut buffer), if *sky.borrow() != Weather::Silent => match read {
                Ok(size) if size > 0 => size,
                _ => return,
            },
        };
        let weather = *sky.borrow();
        let mut piece = &buffer[..size];
        let slice = match weather {
            Weather::Late(mean, spread) => {
                let spread = spread.as_secs_f64() * random.random_range(-1.0..1.0);
                sleep(Duration::from_secs_f64(
                    (mean.as_secs_f64() + spread).max(0.0),
                ))
                .await;
                size
            }
            Weather::Narrow(rate) => usize::try_from(rate / 10).unwrap_or(1).max(1),
            Weather::Sliced(most) => random.random_range(1..=most),
            Weather::Cut(after) if from == From::Server => {
                let left = left.get_or_insert(after);
                piece = &piece[..size.min(*left)];
                *left -= piece.len();
                size
            }
            Weather::Clear | Weather::Silent | Weather::Reset | Weather::Cut(_) => size,
        };
        let mut tenth;
        for part in piece.chunks(slice) {
            if sink.write_all(part).await.is_err() {
                return;
            }
            // What is narrow passes at its pace until the weather changes.
            match *sky.borrow() {
                Weather::Narrow(_) => tenth = true,
                Weather::Clear
                | Weather::Late(..)
                | Weather::Silent
                | Weather::Reset
                | Weather::Sliced(_)
                | Weather::Cut(_) => tenth = false,
            }
            if tenth {
                sleep(Duration::from_millis(100)).await;
            } else if slice < size {
                tokio::task::yield_now().await;
            }
        }
        if left == Some(0) {
            drop(sink.as_ref().set_zero_linger());
            return;
        }
    }
}
