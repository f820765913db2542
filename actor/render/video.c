#include "actor/render/video.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "actor/render/palette.h"
#include "common/arena.h"
#include "common/file.h"

struct format {
    const char *suffix;
    const char *muxer;           /* libavformat's name */
    const char *encoder;         /* libavcodec's name */
    enum AVPixelFormat pixels;
    double max_fps;
    bool is_even;                /* width and height must be */
    bool is_numbered;            /* one file per frame */
    bool is_indexed;             /* needs a palette */
};

static const struct format formats[] = {
    { ".mp4", "mp4", "libx264", AV_PIX_FMT_YUV420P, 60, .is_even = true },
    { ".gif", "gif", "gif", AV_PIX_FMT_PAL8, 50, .is_indexed = true },
    { ".png", "image2", "png", AV_PIX_FMT_RGB24, 60, .is_numbered = true },
};

struct video {
    const struct format *format;
    int width, height;
    double fps;
    int64_t n_frames;
    struct file_writer file;         /* under its temporary name; not for numbered files */
    char url[4096 + 16];
    FILE *spool;                     /* the frames of an indexed format */
    struct palette *palette;
    uint8_t *rgb;                    /* one spooled frame */
    AVFormatContext *mux;
    AVStream *stream;
    AVCodecContext *codec;
    AVFrame *frame;
    AVPacket *packet;
    struct SwsContext *scaler;       /* RGB to the codec's pixels; NULL when they are the same */
};

static int av_error(struct error *err, const struct video *v, const char *what, int code)
{
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(code, text, sizeof(text));
    return error_set(err, ERR_IO, "cannot %s %s: %s", what, v->url + strlen("file:"), text);
}

/* ---- opening ---- */

static const struct format *find_format(const char *path, struct error *err)
{
    const size_t length = strlen(path);
    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
        const size_t n = strlen(formats[i].suffix);
        if (length > n && strcasecmp(path + length - n, formats[i].suffix) == 0)
            return &formats[i];
    }
    error_set(err, ERR_USAGE, "%s: the name of a video ends in .mp4, .gif or .png (numbered "
              "pictures, such as frame%%04d.png)", path);
    return NULL;
}

int video_max_fps(const char *path, double *fps, struct error *err)
{
    const struct format *format = find_format(path, err);
    if (!format)
        return ERR_USAGE;
    *fps = format->max_fps;
    return 0;
}

static int check(const struct video *v, const char *path, struct error *err)
{
    char name[4096];
    if (v->width < 16 || v->height < 16 || v->width > 8192 || v->height > 8192)
        return error_set(err, ERR_USAGE, "a video has 16 to 8192 pixels on a side, not %d x %d",
                         v->width, v->height);
    if (v->format->is_even && (v->width % 2 != 0 || v->height % 2 != 0))
        return error_set(err, ERR_USAGE, "width and height of an .mp4 are even, not %d x %d",
                         v->width, v->height);
    if (!(v->fps >= 0.1) || (v->format->is_indexed && v->fps > v->format->max_fps) || v->fps > 1000)
        return error_set(err, ERR_USAGE, "a %s cannot play %g frames a second: 0.1 to %g are possible",
                         v->format->suffix, v->fps, v->format->is_indexed ? v->format->max_fps : 1000);
    if (v->format->is_numbered && av_get_frame_filename(name, sizeof(name), path, 0) < 0)
        return error_set(err, ERR_USAGE, "%s: numbered pictures need one %%d or %%04d in their name, "
                         "such as frame%%04d.png", path);
    return 0;
}

/* A file in the directory of the video that is gone when it is closed. */
static int open_spool(struct video *v, struct error *err)
{
    char path[sizeof(v->file.temporary) + 16];
    snprintf(path, sizeof(path), "%s.frames", v->file.temporary);
    v->spool = fopen(path, "w+b");
    if (!v->spool)
        return error_errno(err, "cannot write %s", path);
    unlink(path);
    v->palette = palette_create();
    v->rgb = memory_alloc((size_t)v->width * (size_t)v->height, 3);
    return 0;
}

static int open_files(struct video *v, const char *path, struct error *err)
{
    int rc = 0;
    if (!v->format->is_numbered)
        rc = file_begin(&v->file, path, err);
    /* With the protocol's name, as a colon in a path would be read as one. */
    snprintf(v->url, sizeof(v->url), "file:%s", v->format->is_numbered ? path : v->file.temporary);
    if (rc == 0 && v->format->is_indexed)
        rc = open_spool(v, err);
    return rc;
}

/* The same bytes everywhere: one thread, no version texts, exact arithmetic. */
static int open_codec(struct video *v, struct error *err)
{
    const AVCodec *codec = avcodec_find_encoder_by_name(v->format->encoder);
    if (!codec)
        return error_set(err, ERR_MISSING, "this system's libavcodec has no encoder %s, which %s needs; "
                         "install one that has, or write another format", v->format->encoder,
                         v->format->suffix);
    AVCodecContext *c = v->codec = avcodec_alloc_context3(codec);
    c->width = v->width;
    c->height = v->height;
    c->pix_fmt = v->format->pixels;
    c->sample_aspect_ratio = (AVRational){ 1, 1 };
    c->thread_count = 1;
    c->flags |= AV_CODEC_FLAG_BITEXACT;
    if (v->format->is_indexed) {
        c->time_base = (AVRational){ 1, 100 };    /* all that GIF knows */
    } else {
        c->framerate = av_d2q(v->fps, 1001000);
        c->time_base = av_inv_q(c->framerate);
    }
    if (v->format->pixels == AV_PIX_FMT_YUV420P) {
        c->colorspace = AVCOL_SPC_BT709;
        c->color_primaries = AVCOL_PRI_BT709;
        c->color_trc = AVCOL_TRC_BT709;
        c->color_range = AVCOL_RANGE_MPEG;
        av_opt_set(c->priv_data, "preset", "medium", 0);
        av_opt_set(c->priv_data, "crf", "17", 0);
    }
    if (v->mux->oformat->flags & AVFMT_GLOBALHEADER)
        c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    const int code = avcodec_open2(c, codec, NULL);
    return code < 0 ? av_error(err, v, "encode", code) : 0;
}

/* RGB to BT.709, as the stream says; nothing to do where the pixels are not YUV. */
static void open_scaler(struct video *v)
{
    if (v->format->pixels != AV_PIX_FMT_YUV420P)
        return;
    v->scaler = sws_getContext(v->width, v->height, AV_PIX_FMT_RGB24, v->width, v->height,
                               AV_PIX_FMT_YUV420P,
                               SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INP | SWS_BITEXACT,
                               NULL, NULL, NULL);
    const int *bt709 = sws_getCoefficients(SWS_CS_ITU709);
    sws_setColorspaceDetails(v->scaler, bt709, 1, bt709, 0, 0, 1 << 16, 1 << 16);
}

static int open_mux(struct video *v, struct error *err)
{
    int code = avformat_alloc_output_context2(&v->mux, NULL, v->format->muxer, v->url);
    if (code < 0)
        return av_error(err, v, "write", code);
    v->mux->flags |= AVFMT_FLAG_BITEXACT;
    int rc = open_codec(v, err);
    if (rc != 0)
        return rc;
    open_scaler(v);
    v->stream = avformat_new_stream(v->mux, NULL);
    v->stream->time_base = v->codec->time_base;
    v->stream->avg_frame_rate = v->codec->framerate;
    avcodec_parameters_from_context(v->stream->codecpar, v->codec);
    if (!(v->mux->oformat->flags & AVFMT_NOFILE)) {
        code = avio_open(&v->mux->pb, v->url, AVIO_FLAG_WRITE);
        if (code < 0)
            return av_error(err, v, "write", code);
    }
    AVDictionary *options = NULL;
    if (v->format->is_numbered) {
        av_dict_set(&options, "start_number", "0", 0);
        av_dict_set(&options, "atomic_writing", "1", 0);
    } else if (!v->format->is_indexed) {
        av_dict_set(&options, "movflags", "+faststart", 0);
    }
    code = avformat_write_header(v->mux, &options);
    av_dict_free(&options);
    return code < 0 ? av_error(err, v, "write", code) : 0;
}

static int open_frame(struct video *v, struct error *err)
{
    v->packet = av_packet_alloc();
    v->frame = av_frame_alloc();
    v->frame->format = v->codec->pix_fmt;
    v->frame->width = v->width;
    v->frame->height = v->height;
    v->frame->colorspace = v->codec->colorspace;
    v->frame->color_range = v->codec->color_range;
    const int code = av_frame_get_buffer(v->frame, 0);
    return code < 0 ? av_error(err, v, "encode", code) : 0;
}

int video_open(struct video **v, const char *path, int width, int height, double fps,
               struct error *err)
{
    *v = NULL;
    const struct format *format = find_format(path, err);
    if (!format)
        return ERR_USAGE;
    av_log_set_level(AV_LOG_FATAL);    /* errors go through `err` */

    struct video *made = memory_alloc(1, sizeof(*made));
    made->format = format;
    made->width = width;
    made->height = height;
    made->fps = fps;
    int rc = check(made, path, err);
    if (rc == 0)
        rc = open_files(made, path, err);
    if (rc == 0)
        rc = open_mux(made, err);
    if (rc == 0)
        rc = open_frame(made, err);
    if (rc != 0)
        video_discard(&made);
    *v = made;
    return rc;
}

/* ---- encoding ---- */

/* Libav leaves the picture that it could not complete beside those it could. */
static void remove_partial_picture(const struct video *v)
{
    char name[4096], partial[sizeof(name) + 8];
    if (av_get_frame_filename(name, sizeof(name), v->url + strlen("file:"), (int)v->n_frames - 1) < 0)
        return;
    snprintf(partial, sizeof(partial), "%s.tmp", name);
    unlink(partial);
}

/* Send a frame, or NULL at the end, and write the packets that are ready. */
static int encode(struct video *v, const AVFrame *frame, struct error *err)
{
    int code = avcodec_send_frame(v->codec, frame);
    while (code >= 0) {
        code = avcodec_receive_packet(v->codec, v->packet);
        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF)
            return 0;
        if (code < 0)
            break;
        if (v->packet->duration == 0 && !v->format->is_indexed)
            v->packet->duration = 1;
        av_packet_rescale_ts(v->packet, v->codec->time_base, v->stream->time_base);
        v->packet->stream_index = v->stream->index;
        code = av_interleaved_write_frame(v->mux, v->packet);
    }
    if (v->format->is_numbered)
        remove_partial_picture(v);
    return av_error(err, v, "write", code);
}

/* The frame's pixels are ready: give it its time, send it. */
static int send(struct video *v, int64_t number, struct error *err)
{
    v->frame->pts = v->format->is_indexed ? llround((double)number * 100 / v->fps) : number;
    return encode(v, v->frame, err);
}

static void fill(struct video *v, const uint8_t *rgb)
{
    const uint8_t *const from[1] = { rgb };
    const int stride[1] = { v->width * 3 };
    if (v->scaler)
        sws_scale(v->scaler, from, stride, 0, v->height, v->frame->data, v->frame->linesize);
    else
        av_image_copy_plane(v->frame->data[0], v->frame->linesize[0], rgb, stride[0], stride[0],
                            v->height);
}

int video_write(struct video *v, const uint8_t *rgb, struct error *err)
{
    const size_t pixels = (size_t)v->width * (size_t)v->height;
    const int64_t number = v->n_frames++;
    if (v->format->is_indexed) {
        palette_count(v->palette, rgb, pixels);
        if (fwrite(rgb, 3, pixels, v->spool) != pixels)
            return error_errno(err, "cannot keep a frame beside %s", v->file.path);
        return 0;
    }
    const int code = av_frame_make_writable(v->frame);
    if (code < 0)
        return av_error(err, v, "encode", code);
    fill(v, rgb);
    return send(v, number, err);
}

/* ---- finishing ---- */

/* The palette into a frame: the first entry means "as before", so that only what changed is kept.
 *   entries [256] ARGB */
static void set_palette(const struct video *v, uint8_t *entries)
{
    uint8_t colours[PALETTE_COLOURS][3];
    uint32_t argb[256] = { 0 };
    const int n = palette_make(v->palette, colours);
    for (int i = 0; i < 255; i++) {
        const uint8_t *c = colours[i < n ? i : 0];
        argb[1 + i] = 0xff000000u | (uint32_t)c[0] << 16 | (uint32_t)c[1] << 8 | c[2];
    }
    memcpy(entries, argb, sizeof(argb));
}

static int encode_indexed(struct video *v, struct error *err)
{
    const size_t width = (size_t)v->width, pixels = width * (size_t)v->height;
    uint8_t palette[4 * 256], *index = memory_alloc(pixels, 1);
    int rc = 0;
    set_palette(v, palette);
    rewind(v->spool);
    for (int64_t i = 0; rc == 0 && i < v->n_frames; i++) {
        if (fread(v->rgb, 3, pixels, v->spool) != pixels) {
            rc = error_errno(err, "cannot read a frame back for %s", v->file.path);
        } else if (av_frame_make_writable(v->frame) < 0) {
            rc = av_error(err, v, "encode", AVERROR(ENOMEM));
        } else {
            palette_translate(v->palette, v->rgb, pixels, index);
            for (size_t k = 0; k < pixels; k++)
                v->frame->data[0][k / width * (size_t)v->frame->linesize[0] + k % width]
                    = (uint8_t)(index[k] + 1);
            memcpy(v->frame->data[1], palette, sizeof(palette));
            rc = send(v, i, err);
        }
    }
    free(index);
    return rc;
}

/* Free all but the file. */
static void close_libav(struct video *v)
{
    if (v->mux && v->mux->pb && !(v->mux->oformat->flags & AVFMT_NOFILE))
        avio_closep(&v->mux->pb);
    avformat_free_context(v->mux);
    avcodec_free_context(&v->codec);
    av_frame_free(&v->frame);
    av_packet_free(&v->packet);
    sws_freeContext(v->scaler);
    v->mux = NULL;
    v->scaler = NULL;
    if (v->spool)
        fclose(v->spool);
    v->spool = NULL;
    palette_destroy(&v->palette);
    free(v->rgb);
    v->rgb = NULL;
}

static int finish(struct video *v, struct error *err)
{
    int rc = 0, code = 0;
    if (v->n_frames == 0)
        return error_set(err, ERR_USAGE, "a video needs at least one frame");
    if (v->format->is_indexed)
        rc = encode_indexed(v, err);
    if (rc == 0)
        rc = encode(v, NULL, err);
    if (rc != 0)
        return rc;
    code = av_write_trailer(v->mux);
    if (code >= 0 && v->mux->pb && !v->format->is_numbered)
        code = avio_closep(&v->mux->pb);
    return code < 0 ? av_error(err, v, "complete", code) : 0;
}

int video_finish(struct video **v, struct error *err)
{
    struct video *old = *v;
    int rc = finish(old, err);
    if (rc == 0) {
        close_libav(old);
        if (old->file.fp)
            rc = file_commit(&old->file, err);
    }
    video_discard(v);
    return rc;
}

void video_discard(struct video **v)
{
    struct video *old = *v;
    if (!old)
        return;
    close_libav(old);
    if (old->file.fp) {
        fclose(old->file.fp);
        unlink(old->file.temporary);
    }
    free(old);
    *v = NULL;
}
