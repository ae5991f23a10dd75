/* door_pass.c - see door_pass.h. */
#include "worker/door_pass.h"

#include <fnmatch.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/quantity.h"

struct passes {
    door_limits_t limits;
    pthread_mutex_t lock;
    pass_t *first;
};

void pass_wipe (char **secret)
{
    if (*secret)
        sodium_memzero (*secret, strlen (*secret));
    free (*secret);
    *secret = NULL;
}

static void free_pass (pass_t *pass)
{
    for (size_t i = 0; i < PASS_UPLOADS_MAX; i++)
        free (pass->uploads [i].url);
    for (size_t i = 0; i < PASS_TOKENS_MAX; i++) {
        free (pass->tokens [i].key);
        pass_wipe (&pass->tokens [i].header);
    }
    for (int i = 0; i < pass->read_count; i++) {
        free (pass->reads [i].host);
        free (pass->reads [i].path);
    }
    pthread_mutex_destroy (&pass->grant_lock);
    pthread_mutex_destroy (&pass->lock);
    sodium_memzero (pass, sizeof *pass);
    free (pass);
}

passes_t *passes_new (const door_limits_t *limits)
{
    passes_t *self = mem_alloc (sizeof *self);
    if (limits)
        self->limits = *limits;
    pthread_mutex_init (&self->lock, NULL);
    return self;
}

void passes_destroy (passes_t **self_p)
{
    passes_t *self = *self_p;
    if (!self)
        return;
    passes_close_all (self);
    pthread_mutex_destroy (&self->lock);
    free (self);
    *self_p = NULL;
}

static void make_header (char header [PASS_HEADER_MAX], const char *password)
{
    char plain [64];
    int size = snprintf (plain, sizeof plain, "attempt:%s", password);
    strcpy (header, "Basic ");
    sodium_bin2base64 (header + 6, PASS_HEADER_MAX - 6, (const unsigned char *) plain, (size_t) size,
                       sodium_base64_VARIANT_ORIGINAL);
    sodium_memzero (plain, sizeof plain);
}

static void add_base (pass_t *self, const char *reference, const char *digest)
{
    pass_base_t *base = &self->bases [self->base_count++];
    *base = (pass_base_t) { .is_read = false };
    snprintf (base->reference, sizeof base->reference, "%s", reference);
    snprintf (base->digest, sizeof base->digest, "%s", digest);
}

static void add_bases (pass_t *self, const json_t *bases)
{
    size_t i;
    json_t *base;
    json_array_foreach ((json_t *) bases, i, base)
        if (self->base_count < PASS_BASES_MAX)
            add_base (self, json_string_value (json_object_get (base, "reference")), json_string_value (json_object_get (base, "digest")));
}

void passes_open (passes_t *self, const door_pass_t *pass, char password [33])
{
    unsigned char secret [16];
    passes_close (self, pass->job, pass->attempt);
    pass_t *opened = mem_alloc (sizeof *opened);
    randombytes_buf (secret, sizeof secret);
    sodium_bin2hex (password, 33, secret, sizeof secret);
    sodium_memzero (secret, sizeof secret);
    opened->job = pass->job;
    opened->attempt = pass->attempt;
    opened->repository = pass->repository;
    opened->grant = pass->grant;
    opened->pin = pass->pin;
    add_bases (opened, pass->bases);
    opened->argument = pass->argument;
    opened->limits = &self->limits;
    opened->references = 1;
    make_header (opened->header, password);
    pthread_mutex_init (&opened->lock, NULL);
    pthread_mutex_init (&opened->grant_lock, NULL);
    pthread_mutex_lock (&self->lock);
    opened->next = self->first;
    self->first = opened;
    pthread_mutex_unlock (&self->lock);
}

/* Under the lock. */
static void let_go (pass_t *pass)
{
    if (--pass->references == 0)
        free_pass (pass);
}

static void close_at (pass_t **at)
{
    pass_t *pass = *at;
    *at = pass->next;
    atomic_store (&pass->is_closed, true);
    let_go (pass);
}

/* One that is being asked for just now is waited for. */
static void end_grants (pass_t *pass)
{
    pthread_mutex_lock (&pass->grant_lock);
    pass->grant = NULL;
    pass->pin = NULL;
    pthread_mutex_unlock (&pass->grant_lock);
}

void passes_close (passes_t *self, int64_t job, int attempt)
{
    pass_t *pass = passes_find (self, job, attempt);
    if (!pass)
        return;
    atomic_store (&pass->is_closed, true);
    end_grants (pass);
    passes_leave (self, &pass);
    pthread_mutex_lock (&self->lock);
    for (pass_t **at = &self->first; *at; at = &(*at)->next)
        if ((*at)->job == job && (*at)->attempt == attempt) {
            close_at (at);
            break;
        }
    pthread_mutex_unlock (&self->lock);
}

void passes_close_all (passes_t *self)
{
    pthread_mutex_lock (&self->lock);
    while (self->first)
        close_at (&self->first);
    pthread_mutex_unlock (&self->lock);
}

/* Every pass is compared to its whole length, so that time tells nothing about any of them. */
pass_t *passes_enter (passes_t *self, const char *authorization)
{
    char given [PASS_HEADER_MAX] = "";
    pass_t *found = NULL;
    if (!authorization || strlen (authorization) >= sizeof given)
        return NULL;
    strcpy (given, authorization);
    pthread_mutex_lock (&self->lock);
    for (pass_t *pass = self->first; pass; pass = pass->next)
        if (sodium_memcmp (pass->header, given, sizeof given) == 0)
            found = pass;
    if (found)
        found->references++;
    pthread_mutex_unlock (&self->lock);
    return found;
}

pass_t *passes_find (passes_t *self, int64_t job, int attempt)
{
    pthread_mutex_lock (&self->lock);
    pass_t *pass = self->first;
    while (pass && (pass->job != job || pass->attempt != attempt))
        pass = pass->next;
    if (pass)
        pass->references++;
    pthread_mutex_unlock (&self->lock);
    return pass;
}

void passes_leave (passes_t *self, pass_t **pass)
{
    if (!*pass)
        return;
    pthread_mutex_lock (&self->lock);
    let_go (*pass);
    pthread_mutex_unlock (&self->lock);
    *pass = NULL;
}

void pass_note_error (pass_t *self, const err_t *error)
{
    pthread_mutex_lock (&self->lock);
    self->last_error = *error;
    pthread_mutex_unlock (&self->lock);
}

void pass_note_first_error (pass_t *self, const err_t *error)
{
    pthread_mutex_lock (&self->lock);
    if (self->last_error.code == ERR_NONE)
        self->last_error = *error;
    pthread_mutex_unlock (&self->lock);
}

void pass_note_answer (pass_t *self)
{
    pthread_mutex_lock (&self->lock);
    self->was_answered = true;
    pthread_mutex_unlock (&self->lock);
}

void pass_clear_error (pass_t *self)
{
    pthread_mutex_lock (&self->lock);
    self->last_error = (err_t) { .code = ERR_NONE };
    self->was_answered = false;
    pthread_mutex_unlock (&self->lock);
}

void pass_note_push (pass_t *self, const char *digest, const char *media_type, int64_t size_bytes)
{
    pthread_mutex_lock (&self->lock);
    snprintf (self->digest, sizeof self->digest, "%s", digest);
    snprintf (self->media_type, sizeof self->media_type, "%s", media_type);
    self->size_bytes = size_bytes;
    self->has_pushed = true;
    pthread_mutex_unlock (&self->lock);
}

/* Under the lock. */
static pass_base_t *find_base (pass_t *self, const char *reference)
{
    for (int i = 0; i < self->base_count; i++)
        if (strcmp (self->bases [i].reference, reference) == 0)
            return &self->bases [i];
    return NULL;
}

static void name_base (char reference [REFERENCE_MAX], const reference_t *repository, const char *tag)
{
    reference_t image = *repository;
    snprintf (image.tag, sizeof image.tag, "%s", tag);
    reference_format (&image, reference);
}

/* Under the lock. NULL: there is no room for its name. */
static pass_base_t *want_base (pass_t *self, const char *reference, const char *digest)
{
    pass_base_t *base = find_base (self, reference);
    if (!base && self->base_count < PASS_BASES_MAX && strlen (reference) <= PASS_BASE_MAX) {
        add_base (self, reference, digest);
        base = &self->bases [self->base_count - 1];
    }
    if (base && !*base->digest)
        snprintf (base->digest, sizeof base->digest, "%s", digest);
    return base;
}

void pass_note_base (pass_t *self, const reference_t *repository, const char *tag, const char *digest, bool is_given)
{
    char reference [REFERENCE_MAX];
    name_base (reference, repository, tag);
    pthread_mutex_lock (&self->lock);
    bool is_known = is_given && strncmp (digest, "sha256:", 7) == 0 && reference_is_digest (digest);
    pass_base_t *base = is_known || !is_given ? want_base (self, reference, is_known ? digest : "") : find_base (self, reference);
    if (!is_known || !base || strcmp (base->digest, digest) != 0)
        self->has_unknown_bases = true;
    if (base) {
        base->is_read = true;
        base->is_refused = !is_given;
        base->withheld [0] = 0;
    } else if (!is_given)
        self->has_refused_bases = true;
    pthread_mutex_unlock (&self->lock);
}

void pass_note_withheld (pass_t *self, const reference_t *repository, const char *tag, const char *why)
{
    char reference [REFERENCE_MAX];
    name_base (reference, repository, tag);
    pthread_mutex_lock (&self->lock);
    pass_base_t *base = find_base (self, reference);
    if (base)
        snprintf (base->withheld, sizeof base->withheld, "%s", why);
    pthread_mutex_unlock (&self->lock);
}

bool pass_find_base (pass_t *self, const reference_t *repository, const char *tag, char digest [OCI_DIGEST_SIZE])
{
    char reference [REFERENCE_MAX];
    name_base (reference, repository, tag);
    pthread_mutex_lock (&self->lock);
    const pass_base_t *base = find_base (self, reference);
    bool is_known = base && *base->digest;
    if (is_known)
        strcpy (digest, base->digest);
    pthread_mutex_unlock (&self->lock);
    return is_known;
}

int pass_pin (pass_t *self, const reference_t *repository, const char *tag, const char *digest, char pinned [OCI_DIGEST_SIZE], err_t *err)
{
    char reference [REFERENCE_MAX];
    name_base (reference, repository, tag);
    snprintf (pinned, OCI_DIGEST_SIZE, "%s", digest);
    pthread_mutex_lock (&self->grant_lock);
    int rc = self->pin && strlen (reference) <= PASS_BASE_MAX ? self->pin (self->argument, reference, digest, pinned, err) : 0;
    pthread_mutex_unlock (&self->grant_lock);
    return rc;
}

void pass_allow (pass_t *self, const char *host, const char *path)
{
    pthread_mutex_lock (&self->lock);
    if (self->read_count < PASS_READS_MAX)
        self->reads [self->read_count++] = (pass_read_t) { mem_strdup (host), mem_strdup (path) };
    pthread_mutex_unlock (&self->lock);
}

static bool is_base_of_all (const pass_t *self, const char *host, const char *path)
{
    AUTO_FREE char *name = mem_printf ("%s/%s", host, path);
    for (const char *const *pattern = self->limits->bases; pattern && *pattern; pattern++)
        if (fnmatch (*pattern, name, FNM_NOESCAPE) == 0)
            return true;
    return false;
}

bool pass_may_read (pass_t *self, const char *host, const char *path)
{
    bool may = strcmp (host, self->repository.host) == 0 && strcmp (path, self->repository.path) == 0;
    pthread_mutex_lock (&self->lock);
    for (int i = 0; i < self->read_count && !may; i++)
        may = strcasecmp (self->reads [i].host, host) == 0 && (!*self->reads [i].path || strcmp (self->reads [i].path, path) == 0);
    pthread_mutex_unlock (&self->lock);
    return may || is_base_of_all (self, host, path);
}

bool pass_count (pass_t *self, size_t bytes)
{
    long long total = atomic_fetch_add (&self->bytes, (long long) bytes) + (long long) bytes;
    return self->limits->quota_bytes == 0 || total <= self->limits->quota_bytes;
}

int pass_exceeded (const pass_t *self, err_t *err)
{
    char quota [QUANTITY_SIZE];
    return err_set (err, ERR_REGISTRY_DENIED, "the attempt has moved more than %s: make its image or its base images smaller, or raise door/quota of this worker",
                    quantity_bytes (self->limits->quota_bytes, quota));
}

void pass_add_upload (pass_t *self, const char *url, place_t from, char id [UPLOAD_ID_SIZE])
{
    unsigned char random [8];
    randombytes_buf (random, sizeof random);
    sodium_bin2hex (id, UPLOAD_ID_SIZE, random, sizeof random);
    pthread_mutex_lock (&self->lock);
    upload_t *upload = &self->uploads [self->next_upload++ % PASS_UPLOADS_MAX];
    free (upload->url);
    upload->url = mem_strdup (url);
    upload->from = from;
    strcpy (upload->id, id);
    pthread_mutex_unlock (&self->lock);
}

/* It stays known: the registry answers a part with the next place, but a failed request may be sent again. */
char *pass_find_upload (pass_t *self, const char *id, place_t *from)
{
    char *url = NULL;
    pthread_mutex_lock (&self->lock);
    for (size_t i = 0; i < PASS_UPLOADS_MAX && !url; i++)
        if (self->uploads [i].url && strcmp (self->uploads [i].id, id) == 0) {
            url = mem_strdup (self->uploads [i].url);
            *from = self->uploads [i].from;
        }
    pthread_mutex_unlock (&self->lock);
    return url;
}

/* Under the lock. */
static pass_token_t *find_token (pass_t *self, const char *key)
{
    for (size_t i = 0; i < PASS_TOKENS_MAX; i++)
        if (self->tokens [i].key && strcmp (self->tokens [i].key, key) == 0)
            return &self->tokens [i];
    return NULL;
}

char *pass_token (pass_t *self, const char *key)
{
    pthread_mutex_lock (&self->lock);
    pass_token_t *token = find_token (self, key);
    char *header = token && clock_boot_ms () < token->renew_ms ? mem_strdup (token->header) : NULL;
    pthread_mutex_unlock (&self->lock);
    return header;
}

void pass_keep_token (pass_t *self, const char *key, const char *header, int64_t renew_ms)
{
    pthread_mutex_lock (&self->lock);
    pass_token_t *token = find_token (self, key);
    if (!token)
        token = &self->tokens [self->next_token++ % PASS_TOKENS_MAX];
    char *new_key = mem_strdup (key);
    free (token->key);
    pass_wipe (&token->header);
    *token = (pass_token_t) { new_key, mem_strdup (header), renew_ms };
    pthread_mutex_unlock (&self->lock);
}

int pass_grant (pass_t *self, const char *host, const char *scope, char **authorization, int64_t *keep_ms, err_t *err)
{
    pthread_mutex_lock (&self->grant_lock);
    int rc = self->grant ? self->grant (self->argument, host, scope, authorization, keep_ms, err)
                         : err_set (err, ERR_REGISTRY_DENIED, "there is nothing to show %s", host);
    pthread_mutex_unlock (&self->grant_lock);
    return rc;
}
