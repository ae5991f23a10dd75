/* network.c - see sim.h. A message takes its time, overtakes others, comes twice, or not at all; a connection ends, and the
 * coordinator hears of it soon, late, or never. What was sent before its end may come still. */
#include "sim.h"

#include <stdio.h>
#include <string.h>

end_t *network_end (world_t *self, int who)
{
    return who < PEOPLE ? &self->workers [who].end : &self->people [who - PEOPLE].end;
}

int64_t network_principal (const world_t *self, int who)
{
    (void) self;
    return who < PEOPLE ? coordinator_workers [who] : coordinator_users [who - PEOPLE];
}

/* -- connections ------------------------------------------------------------------------------------------------ */

static connection_t *connection_find (world_t *self, uint64_t peer)
{
    for (int i = 0; i < self->connection_count; i++)
        if (self->connections [i].peer == peer)
            return &self->connections [i];
    return NULL;
}

/* Of those that nobody was told about the oldest is given up, as a kernel does in the end. */
static void make_room (world_t *self)
{
    while (self->connection_count == (int) (sizeof self->connections / sizeof *self->connections))
        network_gone (self, self->connections [0].peer, "gone");
}

void network_connect (world_t *self, int who)
{
    make_room (self);
    network_end (self, who)->peer = ++self->last_peer;
    self->connections [self->connection_count++] = (connection_t) { .peer = self->last_peer, .who = who };
}

void network_leave (world_t *self, int who, const char *told)
{
    end_t *end = network_end (self, who);
    int64_t delay = mishap (self, 4) ? draw_ms (self, 60000) : draw_ms (self, 50);
    chore_t chore = { .kind = CHORE_GONE, .token = end->peer };
    snprintf (chore.verb, sizeof chore.verb, "%s", told ? told : "");
    if (end->peer && told)
        agenda_add (self, delay, chore);
    end->peer = 0;
}

void network_gone (world_t *self, uint64_t peer, const char *told)
{
    connection_t *connection = connection_find (self, peer);
    if (!connection)
        return;
    coordinator_hear (self, told, peer, connection->who, NULL);
    memmove (connection, connection + 1, (size_t) (&self->connections [--self->connection_count] - connection) * sizeof *connection);
}

static bool ends_with_coordinator (const chore_t *chore)
{
    return chore->kind == CHORE_ARRIVE || chore->kind == CHORE_REACH || chore->kind == CHORE_GONE;
}

void network_restart (world_t *self)
{
    agenda_drop (&self->agenda, ends_with_coordinator);
    self->connection_count = 0;
    for (int i = 0; i < WORKERS + USERS; i++) {
        int who = i < WORKERS ? i : PEOPLE + i - WORKERS;
        if (network_end (self, who)->peer)
            network_connect (self, who);
    }
}

void network_mend (world_t *self)
{
    for (int i = 0; i < WORKERS; i++)
        self->workers [i].end.cut_until = 0;
    for (int i = 0; i < USERS; i++)
        self->people [i].end.cut_until = 0;
}

/* -- messages --------------------------------------------------------------------------------------------------- */

static int64_t delay_ms (world_t *self)
{
    if (mishap (self, 60))
        return draw_ms (self, 60000);
    return mishap (self, 8) ? draw_ms (self, 3000) : 1 + draw_ms (self, 20);
}

static bool is_cut (world_t *self, int who)
{
    return network_end (self, who)->cut_until > self->now;
}

/* It goes on its way, once, twice or not. */
static void carry (world_t *self, chore_t chore)
{
    int copies = mishap (self, 150) ? 0 : mishap (self, 60) ? 2 : 1;
    for (int i = 0; i < copies; i++) {
        json_incref (chore.header);
        agenda_add (self, delay_ms (self), chore);
    }
    json_decref (chore.header);
}

void network_post (world_t *self, int who, const char *verb, json_t *header)
{
    chore_t chore = { .kind = CHORE_ARRIVE, .who = who, .token = network_end (self, who)->peer, .header = header };
    snprintf (chore.verb, sizeof chore.verb, "%s", verb);
    if (chore.token == 0 || is_cut (self, who))
        json_decref (header);
    else
        carry (self, chore);
}

void network_send (world_t *self, uint64_t peer, const char *verb, const json_t *header)
{
    const connection_t *connection = connection_find (self, peer);
    if (!connection || is_cut (self, connection->who))
        return;
    chore_t chore = { .kind = CHORE_REACH, .who = connection->who, .token = peer, .header = json_incref ((json_t *) header) };
    snprintf (chore.verb, sizeof chore.verb, "%s", verb);
    carry (self, chore);
}

/* As the gateway has it: who has not said hello is asked to, and whose connection has ended is not heard. */
void network_arrive (world_t *self, chore_t *chore)
{
    connection_t *connection = connection_find (self, chore->token);
    if (!connection || is_cut (self, chore->who))
        return;
    if (strcmp (chore->verb, "hello") == 0)
        connection->has_greeted = true;
    if (connection->has_greeted)
        coordinator_hear (self, chore->verb, chore->token, chore->who, json_incref (chore->header));
    else
        network_send (self, chore->token, "who", NULL);
}

void network_reach (world_t *self, chore_t *chore)
{
    if (network_end (self, chore->who)->peer != chore->token || is_cut (self, chore->who))
        return;
    if (chore->who < PEOPLE)
        workers_on_message (self, chore->who, chore->verb, chore->header);
    else
        people_on_message (self, chore->who - PEOPLE, chore->verb, chore->header);
}
