import java.io.IOException;
import java.math.BigInteger;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpTimeoutException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collection;
import java.util.Collections;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Objects;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Flow;
import java.util.concurrent.Semaphore;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * A client of a UniSem service: find pictures and texts by meaning, add records, embed, rerank.
 *
 * <p>One file, Java 17, nothing but the JDK: copy it, and put your {@code package} line on top.
 *
 * <pre>{@code
 * UniSemClient client = UniSemClient.builder("http://127.0.0.1:8000").build();
 * UniSemClient.Space photos = client.space("photos");
 * for (UniSemClient.Hit hit : photos.search(Query.text("a dog running in the park").k(5))) {
 *     System.out.println(hit.score() + " " + hit.record().id());
 * }
 * }</pre>
 *
 * <p>A client may be shared by any number of threads. Every call has one deadline, waiting and
 * repeating included, and fails with a {@link UniSemException}. A call that the service puts off (429,
 * 503) is made again when the service says; so is one whose connection broke: repeating does no harm,
 * because records have their ids before they are sent.
 */
public final class UniSemClient {
    private final URI base;
    private final String authorization;
    private final Duration timeout;
    private final int retries;
    private final long maxAnswerBytes;
    private final String encoder;
    private final String reranker;
    private final Semaphore places;
    private final HttpClient http;

    private UniSemClient(Builder builder) {
        base = builder.base;
        authorization = builder.token == null ? null : "Bearer " + builder.token;
        timeout = builder.timeout;
        retries = builder.retries;
        maxAnswerBytes = builder.maxAnswerBytes;
        encoder = builder.encoder;
        reranker = builder.reranker;
        places = new Semaphore(builder.connections, true);
        // Over plain HTTP the JDK would ask for HTTP/2 with every connection; a space's service has none.
        http = HttpClient.newBuilder()
                .version(HttpClient.Version.HTTP_1_1)
                .followRedirects(HttpClient.Redirect.NEVER)
                .connectTimeout(builder.connectTimeout)
                .build();
    }

    /** Settings of a client for the service at {@code url}, for example {@code http://127.0.0.1:8000}. */
    public static Builder builder(String url) {
        return new Builder(url);
    }

    /** How a client reaches its service; every setting has a default. */
    public static final class Builder {
        private final URI base;
        private String token;
        private String encoder;
        private String reranker;
        private Duration timeout = Duration.ofSeconds(60);
        private Duration connectTimeout = Duration.ofSeconds(10);
        private int retries = 4;
        private int connections = 64;
        private long maxAnswerBytes = 256L << 20;

        private Builder(String url) {
            base = URI.create(url.endsWith("/") ? url.substring(0, url.length() - 1) : url);
            boolean web = "http".equals(base.getScheme()) || "https".equals(base.getScheme());
            if (!web || base.getHost() == null || base.getRawQuery() != null || base.getRawFragment() != null
                    || base.getRawUserInfo() != null) {
                throw new IllegalArgumentException("not the address of a service: use http://HOST:PORT");
            }
        }

        /** The bearer token that the service's token file knows. */
        public Builder token(String token) {
            this.token = Objects.requireNonNull(token, "token");
            return this;
        }

        /** What embeds, by its name; needed only where the service has several encoders. */
        public Builder encoder(String name) {
            this.encoder = Objects.requireNonNull(name, "name");
            return this;
        }

        /** What reranks, by its name; needed only where the service has several rerankers. */
        public Builder reranker(String name) {
            this.reranker = Objects.requireNonNull(name, "name");
            return this;
        }

        /** How long a call may take in all, waiting and repeating included; 60 seconds. */
        public Builder timeout(Duration timeout) {
            this.timeout = positive(timeout, "timeout");
            return this;
        }

        /** How long a connection may take to be made; 10 seconds. */
        public Builder connectTimeout(Duration timeout) {
            this.connectTimeout = positive(timeout, "connectTimeout");
            return this;
        }

        /** How often a call is made again that was put off or lost its connection; 4 times. */
        public Builder retries(int retries) {
            if (retries < 0) {
                throw new IllegalArgumentException("retries must be at least 0, not " + retries);
            }
            this.retries = retries;
            return this;
        }

        /** How many calls may be on their way at a time; others wait their turn; 64. */
        public Builder connections(int connections) {
            if (connections < 1) {
                throw new IllegalArgumentException("connections must be at least 1, not " + connections);
            }
            this.connections = connections;
            return this;
        }

        /** How large an answer may be; 256 MiB. */
        public Builder maxAnswerBytes(long bytes) {
            if (bytes < 1) {
                throw new IllegalArgumentException("maxAnswerBytes must be at least 1, not " + bytes);
            }
            this.maxAnswerBytes = bytes;
            return this;
        }

        public UniSemClient build() {
            return new UniSemClient(this);
        }

        private static Duration positive(Duration duration, String name) {
            if (duration.isZero() || duration.isNegative()) {
                throw new IllegalArgumentException(name + " must be positive, not " + duration);
            }
            return duration;
        }
    }

    // ---------------------------------------------------------------------------------- the service

    /** The spaces that the service has and the token may read. */
    public List<SpaceInfo> spaces() {
        List<SpaceInfo> spaces = new ArrayList<>();
        for (Object item : getJson("/v1/spaces").list("spaces")) {
            Answer space = Answer.of(item);
            spaces.add(new SpaceInfo(space.string("name"), space.number("records").longValue(),
                    space.stringOrNull("encoder"), space.flag("writable")));
        }
        return spaces;
    }

    /** One space of the service; nothing is asked of the service yet. */
    public Space space(String name) {
        return new Space(name);
    }

    /** What a text is embedded as: something to look for, or something to be found. */
    public enum Role { QUERY, PASSAGE }

    /** Vectors of texts, one for each, of unit length. */
    public List<float[]> embedTexts(List<String> texts, Role role) {
        return embed(texts.stream().map(text -> Map.<String, Object>of("text", text)).toList(), role);
    }

    /** Vectors of pictures, one for each, of unit length, in the space of the texts' vectors. */
    public List<float[]> embedImages(List<Image> images) {
        return embed(images.stream().map(image -> Map.<String, Object>of("image", image.dataUri())).toList(),
                Role.PASSAGE);
    }

    private List<float[]> embed(List<Map<String, Object>> input, Role role) {
        if (input.isEmpty()) {
            return List.of();
        }
        Map<String, Object> body = new LinkedHashMap<>();
        if (encoder != null) {
            body.put("model", encoder);
        }
        body.put("input", input);
        body.put("task", role == Role.QUERY ? "retrieval.query" : "retrieval.passage");
        body.put("encoding_format", "base64"); // float32 to the bit, at a third of the decimals' size
        float[][] vectors = new float[input.size()][];
        for (Object item : postJson("/v1/embeddings", body).list("data")) {
            Answer datum = Answer.of(item);
            int index = datum.index("index", vectors.length);
            vectors[index] = floatsOf(datum.string("embedding"));
        }
        if (Arrays.asList(vectors).contains(null)) {
            throw new UniSemException("the service answered without some of the vectors", null);
        }
        return List.of(vectors);
    }

    /** Which documents answer a query, best first, by the reranker that the service was started with. */
    public List<Ranked> rerank(String query, List<String> documents, int top) {
        Map<String, Object> body = new LinkedHashMap<>();
        if (reranker != null) {
            body.put("model", reranker);
        }
        body.put("query", query);
        body.put("documents", documents);
        body.put("top_n", top);
        body.put("return_documents", false);
        List<Ranked> ranked = new ArrayList<>();
        for (Object item : postJson("/v1/rerank", body).list("results")) {
            Answer result = Answer.of(item);
            ranked.add(new Ranked(result.index("index", documents.size()),
                    result.number("relevance_score").doubleValue()));
        }
        return ranked;
    }

    /** A space, and whether the token may write to it. */
    public record SpaceInfo(String name, long records, String encoder, boolean writable) {}

    /** A document by its place in the list that was sent, and its score; higher is better. */
    public record Ranked(int index, double score) {}

    // ------------------------------------------------------------------------------------- one space

    /** One space of the service: search it, read it and, where the token allows, change it. */
    public final class Space {
        private final String path;

        private Space(String name) {
            path = "/v1/spaces/" + segment(name);
        }

        /** The records nearest to the query, best first. */
        public List<Hit> search(Query query) {
            return hits(postJson(path + "/search", query.json));
        }

        /** The hits of each query, in order, asked in one call. */
        public List<List<Hit>> searchAll(List<Query> queries) {
            Map<String, Object> body = Map.of("queries", queries.stream().map(query -> query.json).toList());
            List<List<Hit>> results = new ArrayList<>();
            for (Object item : postJson(path + "/search/batch", body).list("results")) {
                results.add(hits(Answer.of(item)));
            }
            return results;
        }

        /** Adds records, or replaces those of the same id; all or none. Returns their ids, in order. */
        public List<String> add(List<NewRecord> records) {
            Map<String, Object> body = Map.of("records", records.stream().map(record -> record.json).toList());
            return postJson(path + "/records", body).list("ids").stream().map(String.class::cast).toList();
        }

        /** The record of that id, if there is one. */
        public Optional<StoredRecord> get(String id) {
            return get(List.of(id)).get(0);
        }

        /** The record of each id, in order, where there is one. */
        public List<Optional<StoredRecord>> get(List<String> ids) {
            List<Optional<StoredRecord>> found = new ArrayList<>();
            for (Object item : postJson(path + "/records/get", Map.of("ids", ids)).list("records")) {
                found.add(item == null ? Optional.empty() : Optional.of(StoredRecord.of(Answer.of(item))));
            }
            if (found.size() != ids.size()) {
                throw new UniSemException("the service answered another number of records", null);
            }
            return found;
        }

        /**
         * Some records, in an order that does not change while pages are turned.
         *
         * @param limit at most so many
         * @param cursor where the page before ended, {@code null} for the first
         * @param filter only these, {@code null} for all
         */
        public Page page(int limit, String cursor, Filter filter) {
            StringBuilder query = new StringBuilder("?limit=").append(limit);
            if (cursor != null) {
                query.append("&cursor=").append(segment(cursor));
            }
            if (filter != null) {
                query.append("&filter=").append(segment(Json.write(filter.json)));
            }
            Answer answer = getJson(path + "/records" + query);
            List<StoredRecord> records = new ArrayList<>();
            for (Object item : answer.list("records")) {
                records.add(StoredRecord.of(Answer.of(item)));
            }
            return new Page(records, answer.stringOrNull("cursor"));
        }

        /** All records, or those of a filter if it is not {@code null}, fetched page by page. */
        public Iterable<StoredRecord> records(Filter filter) {
            return () -> new Iterator<>() {
                private Page page = page(100, null, filter);
                private Iterator<StoredRecord> rest = page.records().iterator();

                @Override
                public boolean hasNext() {
                    while (!rest.hasNext() && page.cursor() != null) {
                        page = page(100, page.cursor(), filter);
                        rest = page.records().iterator();
                    }
                    return rest.hasNext();
                }

                @Override
                public StoredRecord next() {
                    if (!hasNext()) {
                        throw new NoSuchElementException();
                    }
                    return rest.next();
                }
            };
        }

        /** Deletes records by id; returns how many there were. */
        public long deleteIds(Collection<String> ids) {
            return delete("ids", List.copyOf(ids));
        }

        /** Deletes all records that were cut from these sources; returns how many there were. */
        public long deleteSources(Collection<String> sourceIds) {
            return delete("source_ids", List.copyOf(sourceIds));
        }

        /** Deletes all records that a filter selects; returns how many there were. */
        public long deleteWhere(Filter filter) {
            return delete("filter", filter.json);
        }

        private long delete(String by, Object what) {
            return postJson(path + "/records/delete", Map.of(by, what)).number("deleted").longValue();
        }

        /** Replaces a record's metadata, whole, without embedding it anew; returns the record. */
        public StoredRecord updateMetadata(String id, Map<String, ?> metadata) {
            String body = Json.write(Map.of("metadata", metadata));
            return StoredRecord.of(call("PATCH", recordPath(id), body, "application/json").json());
        }

        /** The picture of a record, as it was added, smaller, or as the page that it is on. */
        public Picture image(String id, Size size) {
            Reply reply = call("GET", recordPath(id) + "/image?size=" + word(size), null, "image/*");
            return new Picture(reply.body, reply.type);
        }

        /** What the service says of the space: counts, encoder, sizes. */
        public Map<String, Object> stats() {
            return getJson(path + "/stats").parts;
        }

        /** Which metadata there are, with their kinds and commonest values. */
        public Map<String, Object> fields() {
            return getJson(path + "/fields").parts;
        }

        private String recordPath(String id) {
            return path + "/records/" + segment(id);
        }

        private static List<Hit> hits(Answer answer) {
            List<Hit> hits = new ArrayList<>();
            for (Object item : answer.list("hits")) {
                Answer hit = Answer.of(item);
                hits.add(new Hit(StoredRecord.of(hit.object("record")), hit.number("score").doubleValue(),
                        hit.string("matched"), hit.doubleOrNull("relevance"), hit.doubleOrNull("judged"),
                        hit.parts.get("path") == null
                                ? List.of()
                                : hit.list("path").stream().map(String.class::cast).toList(),
                        hit.parts.get("copies") == null
                                ? List.of()
                                : hit.list("copies").stream().map(Answer::of).map(StoredRecord::of).toList()));
            }
            return hits;
        }
    }

    /** How large a picture is to be: as it was added, small, or the page of a document that it is on. */
    public enum Size { ORIGINAL, THUMBNAIL, PAGE }

    /** A picture's bytes, and what they are. */
    public record Picture(byte[] bytes, String mimeType) {
        /** The ending of a file with this picture: {@code png}, {@code jpeg}, … */
        public String extension() {
            String kind = mimeType.replaceFirst("^image/", "").replaceFirst("[;+].*$", "");
            return kind.matches("[a-z0-9]{1,8}") ? kind : "bin";
        }
    }

    /**
     * One record that a search found.
     *
     * @param score higher is better
     * @param matched {@code "text"}, {@code "image"} or {@code "both"}: which of its vectors was the nearest
     * @param relevance the probability that it is relevant; {@code null} if the space cannot tell
     * @param judged what a reranker gave it; {@code null} if none did
     * @param path names that lead from what was asked for to it; empty if the graph had no part
     * @param copies other records that have its picture, and those that nearly have where {@link Query#duplicates}
     *     asks for one hit of these
     */
    public record Hit(StoredRecord record, double score, String matched, Double relevance, Double judged,
            List<String> path, List<StoredRecord> copies) {}

    /** Some records; {@code cursor} is where the next page begins, {@code null} after the last. */
    public record Page(List<StoredRecord> records, String cursor) {}

    /** A part of a page of a document, in points from its top left corner; all of it without a box. */
    public record Region(int page, double[] box) {}

    /** A record's picture, without its bytes: {@link Space#image} has those. */
    public record ImageInfo(String sha256, String mimeType, Integer width, Integer height, Region region) {}

    /** A record of a space; what it does not have is {@code null} or empty. */
    public record StoredRecord(String id, String text, ImageInfo image, Map<String, Object> metadata,
            String sourceId, Map<String, Object> links, Map<String, Object> payload) {
        private static StoredRecord of(Answer answer) {
            ImageInfo image = null;
            if (answer.parts.get("image") != null) {
                Answer found = answer.object("image");
                Region region = null;
                if (found.parts.get("region") != null) {
                    Answer part = found.object("region");
                    double[] box = part.parts.get("box") == null ? null : part.list("box").stream()
                            .mapToDouble(side -> ((Number) side).doubleValue()).toArray();
                    region = new Region(part.number("page").intValue(), box);
                }
                image = new ImageInfo(found.stringOrNull("sha256"), found.stringOrNull("mime_type"),
                        found.intOrNull("width"), found.intOrNull("height"), region);
            }
            return new StoredRecord(answer.string("id"), answer.stringOrNull("text"), image,
                    answer.objectOrEmpty("metadata"), answer.stringOrNull("source_id"),
                    answer.objectOrEmpty("links"), answer.objectOrEmpty("payload"));
        }
    }

    // ---------------------------------------------------------------------------------- what is sent

    /** A picture to be sent: its bytes, which the service looks at, whatever the file is called. */
    public static final class Image {
        private final byte[] bytes;

        private Image(byte[] bytes) {
            this.bytes = bytes;
        }

        public static Image of(byte[] bytes) {
            return new Image(bytes.clone());
        }

        public static Image of(Path path) throws IOException {
            return new Image(Files.readAllBytes(path));
        }

        private String dataUri() {
            return "data:" + mimeType() + ";base64," + Base64.getEncoder().encodeToString(bytes);
        }

        private String mimeType() {
            String head = new String(bytes, 0, Math.min(bytes.length, 16), StandardCharsets.ISO_8859_1);
            if (head.startsWith("\u0089PNG")) {
                return "image/png";
            }
            if (head.startsWith("\u00ff\u00d8\u00ff")) {
                return "image/jpeg";
            }
            if (head.startsWith("GIF8")) {
                return "image/gif";
            }
            return head.startsWith("RIFF") && head.startsWith("WEBP", 8) ? "image/webp" : "image/x-unknown";
        }
    }

    /** A record to be added: a text, a picture, or a picture with its caption. */
    public static final class NewRecord {
        private final Map<String, Object> json; // an id is always in it

        private NewRecord(Map<String, Object> json) {
            this.json = json;
        }

        public static NewRecord text(String text) {
            return fresh().with("text", text);
        }

        public static NewRecord image(Image image) {
            return fresh().with("image", image.dataUri());
        }

        /** A picture with its caption. */
        public static NewRecord of(String caption, Image image) {
            return image(image).with("text", caption);
        }

        private static NewRecord fresh() {
            return new NewRecord(Map.of("id", UUID.randomUUID().toString()));
        }

        /** Unique in the space: a record of the same id is replaced. A random one if not given. */
        public NewRecord id(String id) {
            return with("id", id);
        }

        public String id() {
            return (String) json.get("id");
        }

        /** JSON values, what filters look at. */
        public NewRecord metadata(Map<String, ?> metadata) {
            return with("metadata", new LinkedHashMap<>(metadata));
        }

        /** What the record was cut from. */
        public NewRecord sourceId(String sourceId) {
            return with("source_id", sourceId);
        }

        /** Ids of neighbours by relation, for example {@code previous} and {@code next}. */
        public NewRecord links(Map<String, String> links) {
            return with("links", new LinkedHashMap<>(links));
        }

        /** JSON that is kept and never searched. */
        public NewRecord payload(Map<String, ?> payload) {
            return with("payload", new LinkedHashMap<>(payload));
        }

        private NewRecord with(String name, Object value) {
            return new NewRecord(put(json, name, Objects.requireNonNull(value, name)));
        }
    }

    /** Whether a record has a picture, and which of its vectors are compared. */
    public enum Modality { TEXT, IMAGE }

    /** What a ready vector was made of. */
    public enum VectorKind { TEXT, IMAGE, BOTH }

    /** By meaning, by the words themselves, or by both. */
    public enum Mode { VECTOR, KEYWORD, HYBRID }

    /** A walk from what a query names, or its narrower terms. */
    public enum Expansion { PAGERANK, TAXONOMY }

    /** What to look for, and how. Immutable: every setting returns another query. */
    public static final class Query {
        private final Map<String, Object> json;

        private Query(Map<String, Object> json) {
            this.json = json;
        }

        /** A text, whatever it looks like: no path or URL is ever read. */
        public static Query text(String text) {
            return new Query(Map.of()).with("text", text);
        }

        public static Query image(Image image) {
            return new Query(Map.of()).with("image", image.dataUri());
        }

        /** A text and a picture together: "like this, but red". */
        public static Query of(String text, Image image) {
            return image(image).with("text", text);
        }

        /** More like the record of this id, without itself. */
        public static Query like(String id) {
            return new Query(Map.of()).with("like", id);
        }

        /** A ready vector in the space's own coordinates. */
        public static Query vector(float[] vector) {
            return new Query(Map.of()).with("vector", base64Of(vector));
        }

        /** How many records at most; 5. */
        public Query k(int k) {
            return with("k", k);
        }

        /** The share of the text in a query of text and picture, from 0 to 1; a half. */
        public Query textWeight(double share) {
            return with("text_weight", share);
        }

        /** What a ready vector was made of; text. */
        public Query vectorKind(VectorKind kind) {
            return with("vector_kind", word(kind));
        }

        /** Only records whose metadata match. */
        public Query filter(Filter filter) {
            return with("filter", filter.json);
        }

        /** Only texts, or only pictures. */
        public Query modality(Modality modality) {
            return with("modality", word(modality));
        }

        /** Only these records. */
        public Query ids(Collection<String> ids) {
            return with("ids", List.copyOf(ids));
        }

        /** Only records that were cut from these sources. */
        public Query sourceIds(Collection<String> sourceIds) {
            return with("source_ids", List.copyOf(sourceIds));
        }

        /** Compare only the records' texts, or only their pictures. */
        public Query match(Modality modality) {
            return with("match", word(modality));
        }

        /** Compare only vectors of texts and pictures together, which some encoders make. */
        public Query matchFused() {
            return with("match", "both");
        }

        public Query mode(Mode mode) {
            return with("mode", word(mode));
        }

        /** In a hybrid search: by ranks; the larger {@code k}, the more lower ranks count. */
        public Query rankFusion(double k) {
            return with("fusion", Map.of("kind", "rank", "k", k));
        }

        /** In a hybrid search: by scores, of which those by meaning have this share. */
        public Query weightedFusion(double vectorShare) {
            return with("fusion", Map.of("kind", "weighted", "vector", vectorShare));
        }

        /** The least cosine of a hit by meaning. */
        public Query minScore(double score) {
            return with("min_score", score);
        }

        /** The least probability that a hit by meaning is relevant; for calibrated spaces. */
        public Query minRelevance(double probability) {
            return with("min_relevance", probability);
        }

        /** From 0, the best hits, to 1, the least alike. */
        public Query diversity(double diversity) {
            return with("diversity", diversity);
        }

        /** Have the candidates ordered anew by the reranker that the service was started with. */
        public Query rerank() {
            return with("rerank", true);
        }

        /** Have the candidates ordered anew by one of the service's rerankers. */
        public Query rerank(String name) {
            return with("rerank", name);
        }

        /**
         * The share, from 0 to 1, of the search's own score in the order of hits that are ordered
         * anew, in place of what the reranker's calibration says.
         */
        public Query searchWeight(double share) {
            return with("search_weight", share);
        }

        /** How many candidates are fetched for fusion, reranking and diversity. */
        public Query fetchK(int candidates) {
            return with("fetch_k", candidates);
        }

        /** How many of them by meaning exactly, in a hybrid search. */
        public Query fetchVectors(int candidates) {
            return with("fetch_vectors", candidates);
        }

        /** How many of them by keyword exactly, in a hybrid search. */
        public Query fetchWords(int candidates) {
            return with("fetch_words", candidates);
        }

        /**
         * Which records with the same picture make way for the best: with the {@code same} bytes,
         * as if nothing is said, {@code near} for those that look nearly the same as well, or none,
         * {@code keep}.
         */
        public Query duplicates(String which) {
            return with("duplicates", which);
        }

        /** How many records before and after each hit come with it, by its links. */
        public Query neighbors(int neighbors) {
            return with("neighbors", neighbors);
        }

        /** Have the space's knowledge graph take part; a hit's path says by which way it came. */
        public Query graph(Expansion method) {
            return with("graph", Map.of("method", word(method)));
        }

        /** As {@link #graph(Expansion)}, so many relations away from the query, from 1 to 4. */
        public Query graph(Expansion method, int depth) {
            return with("graph", Map.of("method", word(method), "depth", depth));
        }

        private Query with(String name, Object value) {
            return new Query(put(json, name, Objects.requireNonNull(value, name)));
        }
    }

    /**
     * A condition on metadata.
     *
     * <pre>{@code
     * Filter.all(Filter.field("year").ge(2020), Filter.not(Filter.field("tags").contains("draft")))
     * }</pre>
     */
    public static final class Filter {
        private final Map<String, Object> json;

        private Filter(Map<String, Object> json) {
            this.json = json;
        }

        /** A metadata field; {@code "loc.page"} is {@code page} inside {@code loc}. */
        public static Field field(String name) {
            return new Field(Objects.requireNonNull(name, "name"));
        }

        /** All of them hold. */
        public static Filter all(Filter... parts) {
            return new Filter(Map.of("and", Arrays.stream(parts).map(part -> part.json).toList()));
        }

        /** One of them holds. */
        public static Filter any(Filter... parts) {
            return new Filter(Map.of("or", Arrays.stream(parts).map(part -> part.json).toList()));
        }

        /** It does not hold. */
        public static Filter not(Filter part) {
            return new Filter(Map.of("not", part.json));
        }

        /** One field, to be compared; values are strings, numbers, booleans or {@code null}. */
        public record Field(String name) {
            public Filter eq(Object value) {
                return compared("eq", value);
            }

            /** Another value, or none. */
            public Filter ne(Object value) {
                return compared("ne", value);
            }

            public Filter gt(Object value) {
                return compared("gt", value);
            }

            public Filter ge(Object value) {
                return compared("ge", value);
            }

            public Filter lt(Object value) {
                return compared("lt", value);
            }

            public Filter le(Object value) {
                return compared("le", value);
            }

            /** One of these values. */
            public Filter in(Collection<?> values) {
                return compared("in", new ArrayList<>(values));
            }

            /** None of these values, or no value. */
            public Filter notIn(Collection<?> values) {
                return compared("not_in", new ArrayList<>(values));
            }

            /** A list that has this value. */
            public Filter contains(Object value) {
                return compared("contains", value);
            }

            /** A list that has one of these values. */
            public Filter containsAny(Collection<?> values) {
                return compared("any", new ArrayList<>(values));
            }

            /** A list that has every one of these values. */
            public Filter containsAll(Collection<?> values) {
                return compared("all", new ArrayList<>(values));
            }

            /** A string with this in it. */
            public Filter text(String part) {
                return compared("text", part);
            }

            /** A string with this in it, in capitals or not. */
            public Filter textIgnoringCase(String part) {
                return compared("text_insensitive", part);
            }

            /** Missing, null, an empty string or list. */
            public Filter isEmpty() {
                return new Filter(Map.of("field", name, "operator", "is_empty"));
            }

            /** Present, whatever the value. */
            public Filter exists() {
                return new Filter(Map.of("field", name, "operator", "exists"));
            }

            private Filter compared(String operator, Object value) {
                return new Filter(put(Map.of("field", name, "operator", operator), "value", value));
            }
        }
    }

    // ------------------------------------------------------------------------------------ what fails

    /**
     * A call that failed: what the service said (RFC 9457, or OpenAI's shape), or why there is no answer.
     *
     * <p>What the service never got, because it is no JSON or no record, is an
     * {@link IllegalArgumentException} instead.
     */
    public static final class UniSemException extends RuntimeException {
        private static final long serialVersionUID = 1L;
        private final int status;
        private final String detail;
        private final String field;
        private final String remedy;

        private UniSemException(int status, String detail, String field, String remedy) {
            super(status + ": " + detail + (field == null ? "" : " [" + field + "]")
                    + (remedy == null ? "" : "; " + remedy));
            this.status = status;
            this.detail = detail;
            this.field = field;
            this.remedy = remedy;
        }

        private UniSemException(String message, Throwable cause) {
            super(message, cause);
            this.status = 0;
            this.detail = message;
            this.field = null;
            this.remedy = null;
        }

        /** HTTP's status; 0 if no answer came, or none that can be read: see the cause. */
        public int status() {
            return status;
        }

        /** What was wrong. */
        public String detail() {
            return detail;
        }

        /** Which field of the request, or {@code null}. */
        public String field() {
            return field;
        }

        /** What to do, or {@code null}. */
        public String remedy() {
            return remedy;
        }

        private static UniSemException of(Reply reply) {
            Answer answer;
            try {
                answer = reply.json();
            } catch (UniSemException error) {
                return new UniSemException(reply.status, "the service answered without saying why", null, null);
            }
            if (answer.parts.get("error") instanceof Map) { // of the routes that other clients speak
                Answer error = answer.object("error");
                return new UniSemException(reply.status, error.stringOr("message", "refused"),
                        error.stringOrNull("param"), null);
            }
            return new UniSemException(reply.status, answer.stringOr("detail", answer.stringOr("title", "refused")),
                    answer.stringOrNull("field"), answer.stringOrNull("remedy"));
        }
    }

    // --------------------------------------------------------------------------------------- the wire

    private record Reply(int status, String type, String retryAfter, byte[] body) {
        private Answer json() {
            try {
                return Answer.of(Json.read(body));
            } catch (Json.Malformed error) {
                throw new UniSemException("the service's answer is no JSON: " + error.getMessage(), error);
            }
        }
    }

    private Answer getJson(String path) {
        return call("GET", path, null, "application/json").json();
    }

    private Answer postJson(String path, Map<String, ?> body) {
        return call("POST", path, Json.write(body), "application/json").json();
    }

    /** Makes a call until it is answered, or its time or its tries are over. */
    private Reply call(String method, String path, String json, String accept) {
        long deadline = System.nanoTime() + timeout.toNanos();
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(base + path)).header("Accept", accept);
        if (authorization != null) {
            request.header("Authorization", authorization);
        }
        if (json == null) {
            request.method(method, HttpRequest.BodyPublishers.noBody());
        } else {
            request.header("Content-Type", "application/json");
            request.method(method, HttpRequest.BodyPublishers.ofByteArray(json.getBytes(StandardCharsets.UTF_8)));
        }
        try {
            for (int attempt = 0;; attempt++) {
                Duration wait;
                try {
                    Reply reply = send(request.build(), deadline);
                    if (reply.status >= 200 && reply.status < 300) {
                        return reply;
                    }
                    wait = pause(attempt, reply.retryAfter);
                    boolean later = reply.status == 429 || reply.status == 503;
                    if (!later || attempt == retries || wait.toNanos() > deadline - System.nanoTime()) {
                        throw UniSemException.of(reply);
                    }
                } catch (IOException error) {
                    wait = pause(attempt, null);
                    boolean broke = !(error instanceof HttpTimeoutException || error instanceof TooLarge);
                    if (!broke || attempt == retries || wait.toNanos() > deadline - System.nanoTime()) {
                        throw new UniSemException(base + " did not answer: " + said(error), error);
                    }
                }
                TimeUnit.NANOSECONDS.sleep(wait.toNanos());
            }
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw new UniSemException("interrupted while waiting for " + base, error);
        }
    }

    private Reply send(HttpRequest request, long deadline) throws IOException, InterruptedException {
        if (!places.tryAcquire(deadline - System.nanoTime(), TimeUnit.NANOSECONDS)) {
            throw new HttpTimeoutException("no connection became free within " + timeout);
        }
        CompletableFuture<HttpResponse<byte[]>> future = null;
        try {
            // The JDK's own time-out ends with the headers: an answer that trickles in would never end.
            future = http.sendAsync(request, head -> new Bounded(maxAnswerBytes));
            HttpResponse<byte[]> response = future.get(deadline - System.nanoTime(), TimeUnit.NANOSECONDS);
            return new Reply(response.statusCode(), response.headers().firstValue("Content-Type").orElse(""),
                    response.headers().firstValue("Retry-After").orElse(null), response.body());
        } catch (TimeoutException error) {
            throw new HttpTimeoutException("not within " + timeout);
        } catch (ExecutionException error) {
            throw error.getCause() instanceof IOException cause ? cause : new IOException(error.getCause());
        } finally {
            if (future != null) {
                future.cancel(true); // nothing, if it is done
            }
            places.release();
        }
    }

    private static Duration pause(int attempt, String retryAfter) {
        if (retryAfter != null) {
            try {
                if (retryAfter.matches("[0-9]{1,9}")) {
                    return Duration.ofSeconds(Long.parseLong(retryAfter));
                }
                Instant then = ZonedDateTime.parse(retryAfter, DateTimeFormatter.RFC_1123_DATE_TIME).toInstant();
                Duration until = Duration.between(Instant.now(), then);
                return until.isNegative() ? Duration.ZERO : until;
            } catch (DateTimeParseException error) {
                return pause(attempt, null); // it says nothing that can be understood
            }
        }
        long most = 100L << Math.min(attempt, 6); // milliseconds
        return Duration.ofMillis(ThreadLocalRandom.current().nextLong(most / 2, most + 1));
    }

    private static String said(Throwable error) {
        String message = error.getMessage();
        return message == null || message.isBlank() ? error.getClass().getSimpleName() : message;
    }

    /** Any text as one segment of a path, or one value of a query. */
    private static String segment(String text) {
        if (text.equals(".") || text.equals("..")) { // which everybody on the way would take for a step
            return text.replace(".", "%2E");
        }
        StringBuilder encoded = new StringBuilder();
        for (byte unit : utf8(text)) {
            char character = (char) (unit & 0xff);
            boolean plain = character < 128 && (Character.isLetterOrDigit(character) || "-._~".indexOf(character) >= 0);
            encoded.append(plain ? String.valueOf(character) : String.format(Locale.ROOT, "%%%02X", (int) character));
        }
        return encoded.toString();
    }

    private static byte[] utf8(String text) {
        try {
            ByteBuffer bytes = StandardCharsets.UTF_8.newEncoder().encode(CharBuffer.wrap(text));
            return Arrays.copyOf(bytes.array(), bytes.limit());
        } catch (CharacterCodingException error) {
            throw new IllegalArgumentException("half of a surrogate pair is no text", error);
        }
    }

    private static String word(Enum<?> value) {
        return value.name().toLowerCase(Locale.ROOT);
    }

    private static Map<String, Object> put(Map<String, Object> json, String name, Object value) {
        Map<String, Object> more = new LinkedHashMap<>(json);
        more.put(name, value);
        return Collections.unmodifiableMap(more);
    }

    private static String base64Of(float[] vector) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * vector.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(vector);
        return Base64.getEncoder().encodeToString(bytes.array());
    }

    private static float[] floatsOf(String base64) {
        byte[] bytes;
        try {
            bytes = Base64.getDecoder().decode(base64);
        } catch (IllegalArgumentException error) {
            throw new UniSemException("the service's answer has a vector that is no base64", error);
        }
        float[] vector = new float[bytes.length / 4];
        ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(vector);
        return vector;
    }

    /** An answer's bytes, up to a bound. */
    private static final class Bounded implements HttpResponse.BodySubscriber<byte[]> {
        private final HttpResponse.BodySubscriber<byte[]> inner = HttpResponse.BodySubscribers.ofByteArray();
        private final CompletableFuture<byte[]> body = new CompletableFuture<>();
        private final long most;
        private long size;
        private Flow.Subscription subscription;

        private Bounded(long most) {
            this.most = most;
            inner.getBody().whenComplete((bytes, error) -> {
                if (error == null) {
                    body.complete(bytes);
                } else {
                    body.completeExceptionally(error);
                }
            });
        }

        @Override
        public CompletionStage<byte[]> getBody() {
            return body;
        }

        @Override
        public void onSubscribe(Flow.Subscription subscription) {
            this.subscription = subscription;
            inner.onSubscribe(subscription);
        }

        @Override
        public void onNext(List<ByteBuffer> buffers) {
            for (ByteBuffer buffer : buffers) {
                size += buffer.remaining();
            }
            if (size > most) {
                subscription.cancel();
                body.completeExceptionally(new TooLarge(most));
            } else {
                inner.onNext(buffers);
            }
        }

        @Override
        public void onError(Throwable error) {
            inner.onError(error);
        }

        @Override
        public void onComplete() {
            inner.onComplete();
        }
    }

    private static final class TooLarge extends IOException {
        private static final long serialVersionUID = 1L;

        private TooLarge(long most) {
            super("its answer is larger than " + most + " bytes; ask for less, or set maxAnswerBytes");
        }
    }

    /** A JSON object of the service's, whose parts are of the kinds that they should be. */
    private record Answer(Map<String, Object> parts) {
        private static Answer of(Object value) {
            if (value instanceof Map<?, ?> map) {
                Map<String, Object> parts = new LinkedHashMap<>();
                map.forEach((name, part) -> parts.put((String) name, part));
                return new Answer(Collections.unmodifiableMap(parts));
            }
            throw new UniSemException("the service's answer is not of the kind that was expected", null);
        }

        private <T> T need(String name, Class<T> kind) {
            Object value = parts.get(name);
            if (kind.isInstance(value)) {
                return kind.cast(value);
            }
            throw new UniSemException("the service's answer has no " + kind.getSimpleName() + " \"" + name + "\"", null);
        }

        private String string(String name) {
            return need(name, String.class);
        }

        private String stringOrNull(String name) {
            return parts.get(name) == null ? null : need(name, String.class);
        }

        private String stringOr(String name, String otherwise) {
            return parts.get(name) instanceof String text ? text : otherwise;
        }

        private Number number(String name) {
            return need(name, Number.class);
        }

        private Double doubleOrNull(String name) {
            return parts.get(name) == null ? null : Double.valueOf(number(name).doubleValue());
        }

        private Integer intOrNull(String name) {
            return parts.get(name) == null ? null : Integer.valueOf(number(name).intValue());
        }

        private int index(String name, int below) {
            long index = number(name).longValue();
            if (index < 0 || index >= below) {
                throw new UniSemException("the service's answer has \"" + name + "\" " + index, null);
            }
            return (int) index;
        }

        private boolean flag(String name) {
            return need(name, Boolean.class);
        }

        private List<?> list(String name) {
            return need(name, List.class);
        }

        private Answer object(String name) {
            return of(need(name, Map.class));
        }

        private Map<String, Object> objectOrEmpty(String name) {
            return parts.get(name) == null ? Map.of() : object(name).parts;
        }
    }

    /**
     * JSON (RFC 8259), strictly: maps, lists, strings, {@code Long} ({@code BigInteger} where too small),
     * {@code Double}, booleans, null. No name twice, no number that is none, no half character, no more than
     * {@value #DEEPEST} levels.
     */
    static final class Json {
        private static final int DEEPEST = 128; // metadata may have 100
        private static final int LONGEST_NUMBER = 400; // characters; metadata's integers have 302 digits at most

        /** Bytes that are no JSON. */
        static final class Malformed extends Exception {
            private static final long serialVersionUID = 1L;

            private Malformed(String what, int at) {
                super(what + " at character " + at);
            }
        }

        private final String text;
        private int at;

        private Json(String text) {
            this.text = text;
        }

        static Object read(byte[] utf8) throws Malformed {
            String text;
            try {
                text = StandardCharsets.UTF_8.newDecoder().onMalformedInput(CodingErrorAction.REPORT)
                        .decode(ByteBuffer.wrap(utf8)).toString();
            } catch (CharacterCodingException error) {
                throw new Malformed("not UTF-8", 0);
            }
            Json json = new Json(text);
            Object value = json.value(0);
            json.skip();
            if (json.at < text.length()) {
                throw json.malformed("more than one value");
            }
            return value;
        }

        private Object value(int depth) throws Malformed {
            if (depth > DEEPEST) {
                throw malformed("nested deeper than " + DEEPEST);
            }
            skip();
            switch (peek()) {
                case '{':
                    return object(depth);
                case '[':
                    return array(depth);
                case '"':
                    return string();
                case 't':
                    return word("true", true);
                case 'f':
                    return word("false", false);
                case 'n':
                    return word("null", null);
                default:
                    return number();
            }
        }

        private Map<String, Object> object(int depth) throws Malformed {
            Map<String, Object> parts = new LinkedHashMap<>();
            at++;
            skip();
            if (taken('}')) {
                return parts;
            }
            do {
                skip();
                if (peek() != '"') {
                    throw malformed("a name is missing");
                }
                String name = string();
                skip();
                expect(':');
                Object value = value(depth + 1);
                if (parts.containsKey(name)) {
                    throw malformed("a name twice");
                }
                parts.put(name, value);
                skip();
            } while (taken(','));
            expect('}');
            return parts;
        }

        private List<Object> array(int depth) throws Malformed {
            List<Object> items = new ArrayList<>();
            at++;
            skip();
            if (taken(']')) {
                return items;
            }
            do {
                items.add(value(depth + 1));
                skip();
            } while (taken(','));
            expect(']');
            return items;
        }

        private String string() throws Malformed {
            StringBuilder read = new StringBuilder();
            at++;
            while (true) {
                char next = peek();
                at++;
                if (next == '"') {
                    break;
                }
                if (next < ' ') {
                    throw malformed("a control character in a string");
                }
                read.append(next == '\\' ? escaped() : next);
            }
            for (int i = 0; i < read.length(); i++) { // a half may only have come by an escape
                char unit = read.charAt(i);
                if (Character.isSurrogate(unit)) {
                    boolean whole = i + 1 < read.length() && Character.isSurrogatePair(unit, read.charAt(i + 1));
                    if (!whole) {
                        throw malformed("half of a surrogate pair");
                    }
                    i++;
                }
            }
            return read.toString();
        }

        private char escaped() throws Malformed {
            char kind = peek();
            at++;
            switch (kind) {
                case '"':
                case '\\':
                case '/':
                    return kind;
                case 'b':
                    return '\b';
                case 'f':
                    return '\f';
                case 'n':
                    return '\n';
                case 'r':
                    return '\r';
                case 't':
                    return '\t';
                case 'u':
                    if (at + 4 > text.length() || !text.substring(at, at + 4).matches("[0-9a-fA-F]{4}")) {
                        throw malformed("an escape that is none");
                    }
                    at += 4;
                    return (char) Integer.parseInt(text.substring(at - 4, at), 16);
                default:
                    throw malformed("an escape that is none");
            }
        }

        private Object word(String word, Object value) throws Malformed {
            if (!text.startsWith(word, at)) {
                throw malformed("no value");
            }
            at += word.length();
            return value;
        }

        private Number number() throws Malformed {
            int start = at;
            taken('-');
            if (!taken('0')) {
                digits();
            }
            boolean whole = true;
            if (taken('.')) {
                whole = false;
                digits();
            }
            if (taken('e') || taken('E')) {
                whole = false;
                if (!taken('+')) {
                    taken('-');
                }
                digits();
            }
            String number = text.substring(start, at);
            if (number.length() > LONGEST_NUMBER) {
                throw malformed("too long a number");
            }
            if (!whole) {
                double value = Double.parseDouble(number);
                if (Double.isInfinite(value)) {
                    throw malformed("too large a number");
                }
                return value;
            }
            return number.length() < 19 ? (Number) Long.valueOf(number) : narrowed(new BigInteger(number));
        }

        private static Number narrowed(BigInteger value) {
            return value.bitLength() < Long.SIZE ? (Number) value.longValue() : value;
        }

        private void digits() throws Malformed {
            int start = at;
            while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
                at++;
            }
            if (at == start) {
                throw malformed("no value");
            }
        }

        private void skip() {
            while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
                at++;
            }
        }

        private char peek() throws Malformed {
            if (at == text.length()) {
                throw malformed("the end too early");
            }
            return text.charAt(at);
        }

        private boolean taken(char wanted) {
            boolean there = at < text.length() && text.charAt(at) == wanted;
            at += there ? 1 : 0;
            return there;
        }

        private void expect(char wanted) throws Malformed {
            if (!taken(wanted)) {
                throw malformed("\"" + wanted + "\" is missing");
            }
        }

        private Malformed malformed(String what) {
            return new Malformed(what, at);
        }

        /** Any value of those kinds as JSON; what is none is refused before anything is sent. */
        static String write(Object value) {
            StringBuilder written = new StringBuilder();
            write(written, value, 0);
            return written.toString();
        }

        private static void write(StringBuilder to, Object value, int depth) {
            if (depth > DEEPEST) {
                throw new IllegalArgumentException("nested deeper than " + DEEPEST);
            }
            if (value == null || value instanceof Boolean || value instanceof Integer || value instanceof Long
                    || value instanceof Short || value instanceof Byte || value instanceof BigInteger) {
                to.append(value);
            } else if (value instanceof Double || value instanceof Float) {
                double number = ((Number) value).doubleValue();
                if (Double.isNaN(number) || Double.isInfinite(number)) {
                    throw new IllegalArgumentException(number + " is no JSON; use null or a string");
                }
                to.append(number);
            } else if (value instanceof CharSequence text) {
                writeString(to, text.toString());
            } else if (value instanceof Map<?, ?> map) {
                String before = "{";
                for (Map.Entry<?, ?> entry : map.entrySet()) {
                    if (!(entry.getKey() instanceof String name)) {
                        throw new IllegalArgumentException("a name in JSON must be a string, not " + entry.getKey());
                    }
                    writeString(to.append(before), name);
                    write(to.append(':'), entry.getValue(), depth + 1);
                    before = ",";
                }
                to.append(map.isEmpty() ? "{}" : "}");
            } else if (value instanceof Collection<?> items) {
                String before = "[";
                for (Object item : items) {
                    write(to.append(before), item, depth + 1);
                    before = ",";
                }
                to.append(items.isEmpty() ? "[]" : "]");
            } else {
                throw new IllegalArgumentException(value.getClass().getName() + " is no JSON; convert it");
            }
        }

        private static void writeString(StringBuilder to, String text) {
            utf8(text); // refuses halves of characters
            to.append('"');
            for (int i = 0; i < text.length(); i++) {
                char unit = text.charAt(i);
                if (unit == '"' || unit == '\\') {
                    to.append('\\').append(unit);
                } else if (unit < ' ') {
                    to.append(String.format(Locale.ROOT, "\\u%04x", (int) unit));
                } else {
                    to.append(unit);
                }
            }
            to.append('"');
        }
    }
}
