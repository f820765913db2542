#include "tests/render/decode.h"

#include <check.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>
#include <stdlib.h>

/* Append the frame as RGB, by BT.709 where it is YUV. */
static void append(struct film *f, const AVFrame *frame)
{
    const size_t bytes = (size_t)f->width * (size_t)f->height * 3;
    f->rgb = realloc(f->rgb, bytes * (size_t)(f->n_frames + 1));
    ck_assert_ptr_nonnull(f->rgb);
    uint8_t *to[1] = { f->rgb + bytes * (size_t)f->n_frames++ };
    const int stride[1] = { f->width * 3 };
    struct SwsContext *scaler
        = sws_getContext(f->width, f->height, (enum AVPixelFormat)frame->format, f->width,
                         f->height, AV_PIX_FMT_RGB24, SWS_BICUBIC | SWS_ACCURATE_RND, NULL, NULL,
                         NULL);
    const int *bt709 = sws_getCoefficients(SWS_CS_ITU709);
    if (frame->format == AV_PIX_FMT_YUV420P)
        sws_setColorspaceDetails(scaler, bt709, 0, bt709, 1, 0, 1 << 16, 1 << 16);
    sws_scale(scaler, (const uint8_t *const *)frame->data, frame->linesize, 0, f->height, to,
              stride);
    sws_freeContext(scaler);
}

static void drain(struct film *f, AVCodecContext *codec, AVFrame *frame)
{
    while (avcodec_receive_frame(codec, frame) >= 0)
        append(f, frame);
}

struct film decode(const char *path)
{
    struct film f = { 0 };
    AVFormatContext *file = NULL;
    ck_assert_int_eq(avformat_open_input(&file, path, NULL, NULL), 0);
    ck_assert_int_ge(avformat_find_stream_info(file, NULL), 0);
    ck_assert_uint_eq(file->nb_streams, 1);
    const AVStream *stream = file->streams[0];
    f.width = stream->codecpar->width;
    f.height = stream->codecpar->height;
    f.fps = av_q2d(stream->avg_frame_rate);
    f.duration_s = (double)stream->duration * av_q2d(stream->time_base);

    const AVCodec *decoder = avcodec_find_decoder(stream->codecpar->codec_id);
    AVCodecContext *codec = avcodec_alloc_context3(decoder);
    avcodec_parameters_to_context(codec, stream->codecpar);
    ck_assert_int_eq(avcodec_open2(codec, decoder, NULL), 0);
    AVPacket *packet = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    while (av_read_frame(file, packet) >= 0) {
        ck_assert_int_ge(avcodec_send_packet(codec, packet), 0);
        drain(&f, codec, frame);
        av_packet_unref(packet);
    }
    avcodec_send_packet(codec, NULL);
    drain(&f, codec, frame);
    av_frame_free(&frame);
    av_packet_free(&packet);
    avcodec_free_context(&codec);
    avformat_close_input(&file);
    return f;
}

void film_free(struct film *f)
{
    free(f->rgb);
    *f = (struct film){ 0 };
}

const uint8_t *film_pixel(const struct film *f, int frame, int x, int y)
{
    return f->rgb + 3 * (((size_t)frame * (size_t)f->height + (size_t)y) * (size_t)f->width + (size_t)x);
}
