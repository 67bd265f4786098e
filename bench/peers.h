/* SPDX-License-Identifier: GPL-2.0 */
#ifndef PEERS_H
#define PEERS_H

#include "bench.h"

extern const char *const peer_names[NR_PEERS];

int peer_threads(enum peer peer);
void setup_peer(enum peer peer);
bool have_asys(void);

#endif /* PEERS_H */
