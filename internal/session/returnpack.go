package session

import (
	"bytes"
	"compress/flate"
	"io"
	"strings"
	"sync"
)

// MaxReturn is the maximum length in bytes of a return address in a transaction.
const MaxReturn = 16 << 10

// plainReturn is the length in bytes up to which a return address is not
// compressed, so that earlier releases can read it.
const plainReturn = 600

// returnDictionary is text that is common in long addresses: Kibana, OpenSearch and
// Grafana keep the state of a page in them. It is part of the format and must not
// change.
const returnDictionary = "https://http://index.php?page=&search=&filter=&sort=desc&order=asc&limit=&offset=&lang=en&id=&tab=overview&view=list" +
	"%20AND%20%20OR%20%2F%2F%3A%2F%2F%5B%5D%7B%7D%28%29%27%21" +
	"%22%2C%22key%22%3A%22%22%2C%22condition%22%3A%22%22%2C%22operator%22%3A%22%3D%22%2C%22value%22%3A%22%22%7D%2C%7B%22" +
	"?orgId=1&from=now-6h&to=now&timezone=browser&var-datasource=&var-cluster=&var-namespace=&var-job=&var-instance=&refresh=30s&viewPanel=" +
	"/explore?schemaVersion=1&panes=%7B%22datasource%22:%22%22,%22queries%22:%5B%7B%22refId%22:%22A%22,%22expr%22:%22%22,%22range%22:true,%22instant%22:true," +
	"%22datasource%22:%7B%22type%22:%22prometheus%22,%22uid%22:%22%22%7D,%22editorMode%22:%22builder%22,%22legendFormat%22:%22__auto%22%7D%5D," +
	"%22range%22:%7B%22from%22:%22now-1h%22,%22to%22:%22now%22%7D%7D%7D&orgId=1" +
	"/app/discover/app/dashboards?_g=(filters:!(),query:(language:kuery,query:''),refreshInterval:(pause:!t,value:60000),time:(from:now-15m,to:now))" +
	"&_a=(columns:!(_source),dataSource:(dataViewId:'',type:dataView),description:'',fullScreenMode:!f,options:(hidePanelTitles:!f,useMargins:!t),panels:!(" +
	"('$state':(store:appState),meta:(alias:!n,disabled:!f,field:,index:'',key:,negate:!f,params:(query:''),type:phrase),query:(match_phrase:(:''))))" +
	",index:'',interval:auto,query:(language:lucene,query:'*'),sort:!(!('@timestamp',desc)),title:'',viewMode:view)"

var returnPackers = sync.Pool{New: func() any {
	w, err := flate.NewWriterDict(nil, flate.BestCompression, []byte(returnDictionary))
	if err != nil {
		panic(err) // only for a level that does not exist
	}
	return w
}}

// packReturn compresses a return address. It contains no secrets, and so its
// compressed length reveals none.
func packReturn(location string) string {
	var packed bytes.Buffer
	w := returnPackers.Get().(*flate.Writer)
	defer returnPackers.Put(w)
	w.Reset(&packed)
	_, _ = io.WriteString(w, location) // never fails
	_ = w.Close()
	return packed.String()
}

// unpackReturn decompresses what packReturn returned.
func unpackReturn(packed string) (location string, ok bool) {
	r := flate.NewReaderDict(strings.NewReader(packed), []byte(returnDictionary))
	text, err := io.ReadAll(io.LimitReader(r, MaxReturn+1))
	return string(text), err == nil && len(text) <= MaxReturn
}
