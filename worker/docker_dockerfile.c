/* docker_dockerfile.c - the Dockerfile as docker gets it: the user's, line for line, with other names for images.
 *
 *     # syntax=docker/dockerfile:1              # syntax=127.0.0.1:5001/docker.io/docker/dockerfile@sha256:…
 *     FROM registry.lan/base AS tools           FROM 127.0.0.1:5001/registry.lan/base@sha256:… AS tools
 *     COPY --from=tools /a /b                   COPY --from=tools /a /b
 *
 * A name that this worker cannot tell, or not find in the text, is refused. What is overlooked all the same (BuildKit may read a text otherwise) is heard
 * when BuildKit looks for the image: docker_words.c. Directives stand in the first lines, which begin with '#'; they are written anew, so that there is none
 * that only BuildKit knows. */
#include "worker/docker_private.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"

typedef struct {
    const docker_names_t *names;
    const char *done;               /* the text up to here is in out */
    buffer_t *out;
    json_t *given;                  /* names that images have in out */
    int rc;
    err_t *err;
} copy_t;

/* -- where a word stands ----------------------------------------------------------------------------------------- */

static bool is_blank (char c)
{
    return isspace ((unsigned char) c);
}

/* The first line from here on that is no comment and not empty; `to` where there is none. */
static const char *skip_comments (const char *at, const char *to)
{
    while (at < to) {
        const char *feed = memchr (at, '\n', (size_t) (to - at)), *end = feed ? feed + 1 : to;
        const char *text = at;
        while (text < end && is_blank (*text))
            text++;
        if (text < end && *text != '#')
            return text;
        at = end;
    }
    return to;
}

/* A character that continues the line, at its end? */
static bool is_continued (const char *at, const char *to)
{
    if (*at != '\\' && *at != '`')
        return false;
    while (++at < to && *at != '\n')
        if (!is_blank (*at))
            return false;
    return true;
}

/* Where in (from, to) a word stands behind a blank or `mark`, and before a blank, that mark, or the end of the line; NULL. */
static const char *find_word (const char *from, const char *to, const char *word, char mark)
{
    size_t size = strlen (word);
    for (const char *at = from; (at = memmem (at, (size_t) (to - at), word, size)); at++) {
        const char *end = at + size;
        bool begins = at > from && (is_blank (at [-1]) || at [-1] == mark);
        if (begins && (end == to || is_blank (*end) || *end == mark || is_continued (end, to)))
            return at;
    }
    return NULL;
}

/* Where COPY --from= has the word, or one of the parts of RUN --mount=, whichever comes first; NULL. */
static const char *find_source (const char *from, const char *to, const char *word)
{
    static const struct { const char *head; char mark; } forms [] = { { "--from=", ' ' }, { "--mount=from=", ',' }, { "from=", ',' } };
    const char *first = NULL;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        AUTO_FREE char *whole = mem_printf ("%s%s", forms [i].head, word);
        const char *found = find_word (from, to, whole, forms [i].mark);
        const char *at = found ? found + strlen (forms [i].head) : NULL;
        first = at && (!first || at < first) ? at : first;
    }
    return first;
}

/* Where in the text the word begins that names the image; NULL: not in one piece. */
static const char *place_of (const copy_t *self, const base_word_t *word)
{
    const char *at = skip_comments (self->done > word->from ? self->done : word->from, word->to);
    if (!word->is_begin)
        return find_source (at, word->to, word->word);
    while (at < word->to && !is_blank (*at))            /* FROM itself */
        at++;
    return find_word (at, word->to, word->word, ' ');
}

/* -- images ------------------------------------------------------------------------------------------------------ */

static void replace (copy_t *self, const char *at, size_t size, const char *with)
{
    buffer_append (self->out, self->done, (size_t) (at - self->done));
    buffer_append (self->out, with, strlen (with));
    self->done = at + size;
}

static void fail (copy_t *self, const char *word, const char *why)
{
    self->rc = err_set (self->err, ERR_BUILD, "%.200s: %s", word, why);
}

/* NULL and rc set: there is none. Its owner is given. */
static const char *name_of (copy_t *self, const reference_t *image)
{
    AUTO_FREE char *name = self->names->resolve (self->names->argument, image, self->err);
    self->rc = name && json_object_set_new (self->given, name, json_string (name)) == 0 ? 0 : -1;
    return name ? json_string_value (json_object_get (self->given, name)) : NULL;
}

static void fail_to_find (copy_t *self, const char *word)
{
    fail (self, word, "docker gets base images under other names, but this one does not stand in the Dockerfile in one piece: write it in one line");
}

static void on_image (copy_t *self, const base_word_t *word, const reference_t *image)
{
    const char *at = place_of (self, word), *name = at ? name_of (self, image) : NULL;
    if (!at)
        fail_to_find (self, word->word);
    else if (name)
        replace (self, at, strlen (word->word), name);
}

static bool is_number (const char *text)
{
    return text [strspn (text, "0123456789")] == 0;
}

static void on_word (void *argument, const base_word_t *word)
{
    copy_t *self = argument;
    reference_t image;
    if (self->rc < 0 || word->of != BASE_NO_STAGE)
        return;
    if (!word->name)
        fail (self, word->word, "docker gets base images under other names, but this one cannot be told from Dockerfile, build arguments and platform: write it "
              "without quotes and unknown variables");
    else if (base_words_image (word->name, &image))
        on_image (self, word, &image);
    else if (base_name_is_elsewhere (word->name) && !is_number (word->name))
        fail (self, word->name, "a base image comes from a registry: push it to one, and name it there with its host or a tag");
}

/* -- directives -------------------------------------------------------------------------------------------------- */

/* Docker's own of the Dockerfile. Whatever else is a frontend tells BuildKit what it likes: to take images from elsewhere, without a word in the log. */
static bool is_frontend (const reference_t *image)
{
    return strcmp (image->host, "docker.io") == 0 && (strcmp (image->path, "docker/dockerfile") == 0 || strcmp (image->path, "docker/dockerfile-upstream") == 0);
}

static void write_syntax (copy_t *self, const dockerfile_t *file)
{
    reference_t image;
    AUTO_FREE char *text = mem_strndup (file->syntax, file->syntax_size);
    text [strcspn (text, " \t")] = 0;
    if (!base_words_image (text, &image) || !is_frontend (&image)) {
        fail (self, text, "docker builds with no other frontend than docker/dockerfile of docker.io: take that one, or leave `# syntax` out");
        return;
    }
    const char *name = name_of (self, &image);
    if (name)
        buffer_printf (self->out, "# syntax=%s\n", name);
}

/* Directives in forms that newer frontends read, or where only others look for them. */
static bool is_for_others (const dockerfile_t *file, const char *first, int lines)
{
    while (first < file->end && is_blank (*first))
        first++;
    return (file->syntax && lines == 0) || (first < file->end && (*first == '/' || *first == '{'));
}

/* As many lines as there were. */
static void write_head (copy_t *self, const char *text, size_t size)
{
    dockerfile_t file;
    int lines = 0;
    dockerfile_begin (&file, text, size);
    self->done = text;
    while (self->done < file.end) {
        const char *feed = memchr (self->done, '\n', (size_t) (file.end - self->done)), *at = self->done;
        while (at < file.end && *at != '\n' && (is_blank (*at) || (at < text + 3 && (unsigned char) *at > 127)))      /* a byte-order mark */
            at++;
        if (at == file.end || *at != '#' || !feed)
            break;
        self->done = feed + 1;
        lines++;
    }
    if (is_for_others (&file, self->done, lines))
        fail (self, "its first lines", "docker may read them as directives that this worker does not know: begin the Dockerfile with an instruction");
    else if (file.syntax && lines-- > 0)
        write_syntax (self, &file);
    if (file.escape != '\\' && lines > 0 && lines-- > 0)
        buffer_printf (self->out, "# escape=%c\n", file.escape);
    for (; lines > 0; lines--)
        buffer_text (self->out, "#\n");
    dockerfile_end (&file);
}

/* -- the whole --------------------------------------------------------------------------------------------------- */

/* A word of the copy: has something else been replaced in place of it? */
static void on_word_again (void *argument, const base_word_t *word)
{
    copy_t *self = argument;
    reference_t image;
    if (self->rc == 0 && word->of == BASE_NO_STAGE && word->name && base_words_image (word->name, &image) && !json_object_get (self->given, word->name))
        fail_to_find (self, word->word);
}

/* What builders of different age read differently may have images in it that this worker does not see. Docker's own frontend reads it as we do. */
static void read_words (copy_t *self, base_word_fn *on_word_of, const char *text, size_t size)
{
    AUTO_FREE base_words_t *words = mem_alloc (sizeof *words);
    *words = (base_words_t) { .build_args = self->names->build_args, .platform = self->names->platform, .build_platform = self->names->build_platform,
                              .on_word = on_word_of, .argument = self };
    base_words_read (words, text, size);
    if (self->rc == 0 && words->is_doubtful && !words->file.syntax)
        fail (self, "the Dockerfile", "builders of different age read it differently (a here-document that has instructions in it?), and docker gets base images "
              "under other names: let a worker with buildah build it");
}

int docker_copy_dockerfile (const docker_names_t *names, const char *text, size_t size, buffer_t *out, json_t *given, err_t *err)
{
    copy_t self = { .names = names, .out = out, .given = given, .err = err };
    write_head (&self, text, size);
    if (self.rc == 0)
        read_words (&self, on_word, text, size);
    if (self.rc < 0)
        return -1;
    buffer_append (out, self.done, (size_t) (text + size - self.done));
    read_words (&self, on_word_again, out->data ? (const char *) out->data : "", out->size);
    return self.rc;
}
