/* scopes.c - see scopes.h.
 *
 * Of each context that is being fetched stands here what may be asked for: first its root, then what the objects name that were given
 * out. A worker asks from the top down, so that is nearly always enough; where it is not (the coordinator was restarted meanwhile) all
 * below the root is looked up, once. Attempts of one context share that. Rows of one context lie close together, so they are kept in
 * bitmaps of 512. */
#include "coordinator/scopes.h"

#include <stdlib.h>

#include "coordinator/id_map.h"

enum { PAGE_BITS = 512 };

typedef struct { uint64_t words [PAGE_BITS / 64]; } page_t;

typedef struct {
    digest_t context, dockerfile;
    int users;                  /* attempts */
    id_map_t pages_of;          /* row / PAGE_BITS -> place in pages */
    buffer_t pages;             /* page_t */
    bool is_whole;              /* all that is below them is in it */
} scope_t;

typedef struct {
    int64_t job, attempt, worker;
    scope_t *scope;
} use_t;

struct scopes {
    depot_t *depot;
    buffer_t uses;              /* use_t */
};

scopes_t *scopes_new (depot_t *depot)
{
    scopes_t *self = mem_alloc (sizeof *self);
    self->depot = depot;
    return self;
}

static void scope_clear (scope_t *self)
{
    id_map_clear (&self->pages_of);
    buffer_free (&self->pages);
    self->is_whole = false;
}

static void scope_leave (scope_t *self)
{
    if (--self->users > 0)
        return;
    scope_clear (self);
    free (self);
}

static use_t *uses (const scopes_t *self, size_t *count)
{
    *count = self->uses.size / sizeof (use_t);
    return (use_t *) self->uses.data;
}

void scopes_destroy (scopes_t **self_p)
{
    scopes_t *self = *self_p;
    size_t count;
    if (!self)
        return;
    use_t *all = uses (self, &count);
    for (size_t i = 0; i < count; i++)
        scope_leave (all [i].scope);
    buffer_free (&self->uses);
    free (self);
    *self_p = NULL;
}

/* -- attempts ---------------------------------------------------------------------------------------------------- */

static scope_t *scope_of (const scopes_t *self, const digest_t *context, const digest_t *dockerfile)
{
    size_t count;
    const use_t *all = uses (self, &count);
    for (size_t i = 0; i < count; i++)
        if (digest_equal (&all [i].scope->context, context) && digest_equal (&all [i].scope->dockerfile, dockerfile))
            return all [i].scope;
    scope_t *scope = mem_alloc (sizeof *scope);
    scope->context = *context;
    scope->dockerfile = *dockerfile;
    return scope;
}

void scopes_open (scopes_t *self, int64_t job, int64_t attempt, int64_t worker, const digest_t *context, const digest_t *dockerfile)
{
    use_t use = { job, attempt, worker, scope_of (self, context, dockerfile) };
    use.scope->users++;
    scopes_close (self, job, attempt);
    buffer_append (&self->uses, &use, sizeof use);
}

void scopes_close (scopes_t *self, int64_t job, int64_t attempt)
{
    size_t count;
    use_t *all = uses (self, &count);
    for (size_t i = 0; i < count; i++)
        if (all [i].job == job && all [i].attempt == attempt) {
            scope_leave (all [i].scope);
            all [i] = all [count - 1];
            self->uses.size -= sizeof *all;
            return;
        }
}

void scopes_forget (scopes_t *self)
{
    size_t count;
    const use_t *all = uses (self, &count);
    for (size_t i = 0; i < count; i++)
        scope_clear (all [i].scope);
}

/* -- rows -------------------------------------------------------------------------------------------------------- */

static bool has_row (const scope_t *self, int64_t row)
{
    ptrdiff_t place = id_map_find (&self->pages_of, row / PAGE_BITS);
    int bit = (int) (row % PAGE_BITS);
    return place >= 0 && (((const page_t *) self->pages.data) [place].words [bit / 64] >> bit % 64 & 1);
}

/* False when it was there. */
static bool add_row (scope_t *self, int64_t row)
{
    if (has_row (self, row))
        return false;
    ptrdiff_t place = id_map_find (&self->pages_of, row / PAGE_BITS);
    int bit = (int) (row % PAGE_BITS);
    if (place < 0) {
        const page_t empty = { { 0 } };
        place = (ptrdiff_t) (self->pages.size / sizeof empty);
        buffer_append (&self->pages, &empty, sizeof empty);
        id_map_set (&self->pages_of, row / PAGE_BITS, (size_t) place);
    }
    ((page_t *) self->pages.data) [place].words [bit / 64] |= (uint64_t) 1 << bit % 64;
    return true;
}

static void add_below (scopes_t *self, scope_t *scope, int64_t row, buffer_t *fresh)
{
    AUTO_BUFFER buffer_t rows = { 0 };
    depot_rows_below (self->depot, row, &rows);
    const int64_t *ids = (const int64_t *) rows.data;
    for (size_t i = 0; i < rows.size / sizeof *ids; i++)
        if (add_row (scope, ids [i]) && fresh)
            buffer_append (fresh, &ids [i], sizeof ids [i]);
}

static void add_all (scopes_t *self, scope_t *scope)
{
    AUTO_BUFFER buffer_t left = { 0 };
    int64_t root = depot_row (self->depot, &scope->context);
    scope_clear (scope);
    if (root == 0)
        return;                 /* it was damaged, and may come back */
    buffer_append (&left, &root, sizeof root);
    while (left.size > 0) {
        left.size -= sizeof root;
        int64_t row = *(const int64_t *) (left.data + left.size);
        add_below (self, scope, row, &left);
    }
    scope->is_whole = true;
}

/* -- asking ------------------------------------------------------------------------------------------------------ */

static bool is_top (const scope_t *self, const digest_t *digest)
{
    return digest_equal (&self->context, digest) || digest_equal (&self->dockerfile, digest);
}

/* With may_look all below the root is looked up first, where that was not done yet. */
static bool is_in_one (scopes_t *self, int64_t worker, const digest_t *digest, int64_t row, bool may_look)
{
    size_t count;
    const use_t *all = uses (self, &count);
    for (size_t i = 0; i < count; i++) {
        scope_t *scope = all [i].scope;
        if (all [i].worker != worker)
            continue;
        if (may_look && !scope->is_whole)
            add_all (self, scope);
        if (is_top (scope, digest) || has_row (scope, row))
            return true;
    }
    return false;
}

bool scopes_allow (scopes_t *self, int64_t worker, const digest_t *digest)
{
    int64_t row = depot_row (self->depot, digest);
    return row == 0 || is_in_one (self, worker, digest, row, false) || is_in_one (self, worker, digest, row, true);
}

bool scopes_is_unsure (const scopes_t *self, int64_t worker)
{
    size_t count;
    const use_t *all = uses (self, &count);
    for (size_t i = 0; i < count; i++)
        if (all [i].worker == worker && depot_row (self->depot, &all [i].scope->context) == 0)
            return true;
    return false;
}

void scopes_give (scopes_t *self, int64_t worker, const digest_t *digest)
{
    size_t count;
    const use_t *all = uses (self, &count);
    int64_t row = depot_row (self->depot, digest);
    for (size_t i = 0; row && i < count; i++)
        if (all [i].worker == worker && !all [i].scope->is_whole && (is_top (all [i].scope, digest) || has_row (all [i].scope, row)))
            add_below (self, all [i].scope, row, NULL);
}
